// Package mask keeps secret values out of all that is shown or kept: plans, reports,
// digests, messages and errors.
//
// What is secret are the values of a Secret, and the fields that an environment
// marks (schema.Object.Secret; a Mark finds them again in other versions of the
// object). There are two ways in which they are hidden:
//
//   - A Masker puts a tag in the place of a value that stands where it belongs. The
//     tag is a keyed hash: it tells whether two values are equal, and nothing else.
//     Without a key that lasts it is blind (two plans must read the same), or it
//     numbers the values.
//   - A Redactor takes copies of values out of texts that others wrote: errors of the
//     API server and of webhooks, events, the last lines of a crash. It learns the
//     values from environments and from live objects.
//
// The rules that keep it safe:
//
//   - Digests hold a value as an HMAC with the key of the environment, and not at all
//     without one.
//   - What the environment says elsewhere for everybody to read is no secret: hiding it
//     would take the sense out of every message.
//   - Values are hidden before they are stored anywhere, not when they are printed.
package mask
