package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// Format is the shape of a message.
type Format string

// The formats, by whose robots take them.
const (
	Generic  Format = "generic"
	DingTalk Format = "dingtalk"
	WeCom    Format = "wecom"
	Feishu   Format = "feishu"
	Slack    Format = "slack"
)

// Formats are all formats, the default first.
func Formats() []string {
	return []string{string(Generic), string(DingTalk), string(WeCom), string(Feishu), string(Slack)}
}

const (
	linesInMessage = 20
	lineLength     = 300     // bytes
	textLength     = 4 << 10 // of what is kept of a notice
	// messageLength fits what the strictest takes: WeCom's markdown, 4,096 bytes.
	messageLength = 3800
)

// message is what a group of notices says.
type message struct {
	notices []reconcile.Notice
	dropped int // notices that there was no room to keep
}

// title counts: "evenkeel dev: 3 corrected, 1 fight". DingTalk's robots with a
// keyword may rely on its first word.
func (m message) title() string {
	var envs, kinds []string
	counts := map[string]int{}
	add := func(list []string, s string) []string {
		if counts[s]++; counts[s] == 1 && s != "" {
			return append(list, s)
		}
		return list
	}
	for _, n := range m.notices {
		envs = add(envs, n.Environment)
		kinds = add(kinds, string(n.Kind))
	}
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%d %s", counts[kind], kind)
	}
	where := ""
	if len(envs) > 0 {
		where = " " + strings.Join(envs, ", ")
	}
	return "evenkeel" + where + ": " + strings.Join(kinds, ", ")
}

// unmarked is a text in which the robots' Markdown finds no link, picture, mention or
// tag: what is told quotes names and messages of others. None of the dialects documents
// an escape, so what opens one is replaced by its full-width twin.
func unmarked(text string) string {
	return strings.NewReplacer("[", "［", "]", "］", "<", "＜", ">", "＞", "@", "＠", "`", "｀", "*", "＊", "~", "～", "|", "｜", "://", "：//").Replace(text)
}

// lines are the notices, one each, as many as fit; unmarked where they become Markdown.
func (m message) lines(unmark func(string) string) []string {
	var lines []string
	room := messageLength
	for i, n := range m.notices {
		line := fmt.Sprintf("%s %s: %s", n.Environment, n.Kind, plain.Line(n.Text, lineLength))
		if unmark != nil {
			line = unmark(line)
		}
		if room -= len(line) + 8; room < 0 || i == linesInMessage {
			return append(lines, fmt.Sprintf("and %d more", len(m.notices)-i+m.dropped))
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if m.dropped > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", m.dropped))
	}
	return lines
}

// body is the message in a format, and the URL to send it to: a robot with a
// secret wants a signature in one or the other.
func (m message) body(opts Options, now time.Time) (target string, body []byte, err error) {
	target = opts.URL
	var v any
	switch opts.Format {
	case DingTalk:
		// open.dingtalk.com, "Custom robot access": msgtype markdown; signed by
		// timestamp (ms) and sign in the query.
		v = map[string]any{"msgtype": "markdown", "markdown": map[string]any{
			"title": m.title(), "text": "#### " + unmarked(m.title()) + "\n\n- " + strings.Join(m.lines(unmarked), "\n- "),
		}, "at": map[string]any{"isAtAll": false}}
		if opts.Secret != "" {
			stamp := strconv.FormatInt(now.UnixMilli(), 10)
			target, err = withQuery(target, "timestamp", stamp, "sign", sign(opts.Secret, stamp+"\n"+opts.Secret))
		}
	case WeCom:
		// developer.work.weixin.qq.com, "Group robot": msgtype markdown.
		v = map[string]any{"msgtype": "markdown", "markdown": map[string]any{
			"content": "**" + unmarked(m.title()) + "**\n> " + strings.Join(m.lines(unmarked), "\n> "),
		}}
	case Feishu:
		// open.feishu.cn, "Custom bot": msg_type post; signed by timestamp (s) and
		// sign in the body, where timestamp and secret are the key and nothing is
		// what is signed.
		var paragraphs []any
		for _, line := range m.lines(nil) {
			paragraphs = append(paragraphs, []any{map[string]any{"tag": "text", "text": line}})
		}
		post := map[string]any{"msg_type": "post", "content": map[string]any{"post": map[string]any{
			"zh_cn": map[string]any{"title": m.title(), "content": paragraphs},
		}}}
		if opts.Secret != "" {
			stamp := strconv.FormatInt(now.Unix(), 10)
			post["timestamp"], post["sign"] = stamp, sign(stamp+"\n"+opts.Secret, "")
		}
		v = post
	case Slack:
		// api.slack.com, "Incoming webhooks"; &, < and > are its control characters.
		escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
		v = map[string]any{"text": escape.Replace("*" + m.title() + "*\n• " + strings.Join(m.lines(nil), "\n• "))}
	default:
		v = m.generic()
	}
	if err != nil {
		return "", nil, err
	}
	body, err = json.Marshal(v)
	return target, body, err
}

func (m message) generic() any {
	type notice struct {
		Time        time.Time            `json:"time"`
		Environment string               `json:"environment,omitempty"`
		Kind        reconcile.NoticeKind `json:"kind"`
		Text        string               `json:"text"`
	}
	list := make([]notice, len(m.notices))
	for i, n := range m.notices {
		list[i] = notice{n.Time.UTC().Truncate(time.Second), n.Environment, n.Kind, plain.Line(n.Text, textLength)}
	}
	return map[string]any{"source": "evenkeel", "title": m.title(), "notices": list, "dropped": m.dropped}
}

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func withQuery(target string, pairs ...string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", errURL
	}
	query := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
