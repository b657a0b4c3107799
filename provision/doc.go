// Package provision carries out what package mapping decides: it serves the
// SCIM resources of package scim over the upstream API, the store and the
// cache, and keeps the directory, a mirror of upstream that lists are
// answered from, up to date.
//
// Every change of a person goes the same way: lease the person, see what
// upstream holds, plan, take the steps one by one, planning again after each
// from what upstream then shows, and commit the row together with its event
// before the answer. Plans are made from state and never from history, so a
// request that is sent again after any failure goes on where the last one
// stopped.
package provision
