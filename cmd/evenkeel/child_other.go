//go:build !linux

package main

func endsFirst() {}
