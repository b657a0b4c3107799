// Package requestlog keeps what provisioning clients asked for, without what
// they said: every name, address and other value becomes a pseudonym before a
// row leaves the process. Rows are written behind the requests and best effort:
// a store that is slow or down costs rows, never a request.
package requestlog
