package main

import (
	"fmt"
	"strings"
	"time"
)

// patience is how long what must come may take on a machine that has much else to do.
const patience = 15 * time.Second

// feature runs one row of the matrix and prints its line; a panic or an error is its failure.
func feature(name string, run func() error) {
	if err := guarded(run); err != nil {
		fmt.Printf("FAIL %s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	fmt.Printf("ok %s\n", name)
}

func guarded(run func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
	}()
	return run()
}

// must ends the feature where an error is not wanted.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// want ends the feature where a condition does not hold.
func want(holds bool, format string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(format, values...))
	}
}

// within waits for one value of a channel, and ends the feature where none comes.
func within[T any](limit time.Duration, values <-chan T, what string) T {
	select {
	case value := <-values:
		return value
	case <-time.After(limit):
		panic(fmt.Sprintf("%s did not come within %s", what, limit))
	}
}
