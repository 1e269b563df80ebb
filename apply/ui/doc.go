// Package ui is a page to watch environments on: health with causes as it changes,
// what differs and who changed it, revisions, the picture, the way of a request, logs
// and events. It only reads; where acting is a command, it shows the command.
//
//	WatchStatus -> board (units and their objects, numbered changes)
//	board -> templates on the server -> a page, then fragments over one event stream
//	fragments -> idiomorph in the browser, which keeps focus and what is unfolded
//
// The browser holds no state and no logic beyond that: static/ui.js has some fifty
// lines, and works on what templates wrote. static/idiomorph.js is vendored, with its
// licence beside it.
//
// What keeps the page from others:
//
//   - It listens on the loopback address unless it is told otherwise.
//   - Every path begins with a token of 130 random bits. Without it nothing but a refusal
//     is answered, so that another user of the machine reads nothing.
//   - The Host header must be an address that is listened on, which ends DNS rebinding;
//     an Origin, and what browsers say in Sec-Fetch-Site, must be the page's own.
//   - GET and HEAD only; nothing is stored; no referrer leaves, which would have the token.
//   - Scripts, styles and connections come from the page itself alone, by a
//     Content-Security-Policy. Plans and pictures are the pages of diff and graph, in
//     frames without the right to anything but their own script.
//   - Values of Secrets are masked by plan and health; logs and events pass the same
//     redactor, as far as the values are known of the environment.
//
// Requests to the API server: one LIST and watch per kind and namespace for each
// environment, whoever looks on; plans, revisions, logs and events when somebody does.
package ui
