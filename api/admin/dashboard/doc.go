// Package dashboard makes the operator's page out of what package admin hands it: the
// views of view.go say what is shown, each has its HTML in the file of its part of the
// page, and files.go serves the style, the script and the libraries of vendored/. It asks
// nobody for anything and decides nothing; every sentence that it shows comes from package
// status.
//
// The server makes all of the HTML. htmx puts parts of it in place when something was
// clicked, and once a second when the stream says that there is something new; the script
// of the page only draws the two charts, opens the dialog and keeps the address in step
// with the filters. The policy of policy.go lets no other script, style or host in.
//
// A view holds no token but the form's own, and keys only masked, but for those that an
// operator has had revealed (I7).
package dashboard
