// Package status is what the relay says of itself: for each tenant and each segment
// one state out of a closed set, since when and until when, how many keys there are,
// and a sentence that tells an operator what is wrong and what comes next.
//
// It is the one model that the operator's page, the JSON API, the command line, the
// metrics and the log have in common, so that all of them say the same in the same
// words. It is pure: package actors fills it in, and everybody else reads it. It
// holds no token and no key (I7); a tenant is known by its fingerprint.
package status
