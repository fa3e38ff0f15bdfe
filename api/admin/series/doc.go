// Package series keeps how the relay fared in the last day: keys in and out, what was
// refused, what waits, and how fresh delivered keys are. It lives in memory and begins
// anew with the process; who wants more has Prometheus. All figures are read from the
// metrics, so that a chart and a query never differ.
package series
