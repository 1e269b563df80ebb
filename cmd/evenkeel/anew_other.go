//go:build !unix

package main

import "errors"

func beginAnew() error {
	return errors.New("this system cannot begin a program anew: name the environments that are to be compared")
}
