module github.com/seed-428f4edd/evenkeel

go 1.26.0
