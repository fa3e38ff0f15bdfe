// Package memory finds out how much memory the process may take, and divides it.
//
// group.go reads the kernel's control groups, of version 1, 2 and both side by side;
// allowance.go finds the limit that counts and has the Go runtime keep it; budget.go
// turns a limit into the size of everything that grows with load; gc.go decides when
// garbage is collected; pressure.go has changes refused while the limit is near. Nothing
// here knows what the parts are that the budgets are for.
//
// The groups are read here and not by a library. The one that is kept well
// (github.com/KimMachineGun/automemlimit) answers the limit alone, from fixed paths:
// what a group takes at the moment is needed too, and a tree of files that a test
// made is the only version 2 that every machine has.
package memory
