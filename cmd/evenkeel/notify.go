package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/notify"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

// The variables with what leads to a webhook.
const (
	envNotifyURL    = "EVENKEEL_NOTIFY_URL"
	envNotifySecret = "EVENKEEL_NOTIFY_SECRET"
)

// notifyFlags say where people want to be told.
type notifyFlags struct {
	url, urlFile string
	format       string
	secretFile   string
}

func (o *notifyFlags) addFlags(f *pflag.FlagSet, of string) {
	f.StringVar(&o.url, "notify-url", "", "tell of "+of+" at this webhook; the variable "+envNotifyURL+" shows it to nobody")
	f.StringVar(&o.urlFile, "notify-url-file", "", "the file with the URL of the webhook")
	f.StringVar(&o.format, "notify-format", string(notify.Generic), "what the webhook takes: "+strings.Join(notify.Formats(), ", "))
	f.StringVar(&o.secretFile, "notify-secret-file", "", "the file with the secret that signs messages (dingtalk, feishu); default: the variable "+envNotifySecret)
}

func (o *notifyFlags) check() error {
	if !slices.Contains(notify.Formats(), o.format) {
		return &hint.Error{Err: fmt.Errorf("--notify-format %q is not known", o.format), Hint: "use " + strings.Join(notify.Formats(), ", ")}
	}
	return nil
}

// sender tells people, where they want to be told; nil where nobody does.
func (o *notifyFlags) sender(log *slog.Logger) (*notify.Sender, error) {
	target := o.url
	if target == "" {
		var err error
		if target, err = remote.SecretFrom(o.urlFile, envNotifyURL); err != nil || target == "" {
			return nil, err
		}
	}
	secret, err := remote.SecretFrom(o.secretFile, envNotifySecret)
	if err != nil {
		return nil, err
	}
	sender, err := notify.New(notify.Options{URL: target, Format: notify.Format(o.format), Secret: secret, Log: log})
	if err != nil {
		return nil, &hint.Error{Err: err, Hint: "give an http or https URL with --notify-url-file or " + envNotifyURL}
	}
	return sender, nil
}

// messenger tells of runs by hand and in pipelines. One without a sender tells
// nobody.
type messenger struct{ sender *notify.Sender }

// messenger checks the flags: a mistake in them is said before anything is written.
func (o *notifyFlags) messenger(g *global) (*messenger, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	sender, err := o.sender(slog.New(slog.NewTextHandler(g.err, nil)))
	return &messenger{sender}, err
}

// tellTime is how long a webhook may take: the run is over, and somebody waits.
const tellTime = 15 * time.Second

// tell tells at once. That a webhook does not answer is logged, and no more.
func (m *messenger) tell(ctx context.Context, env string, kind reconcile.NoticeKind, text string) {
	if m == nil || m.sender == nil {
		return
	}
	m.sender.Add(reconcile.Notice{Time: time.Now(), Environment: env, Kind: kind, Text: report.Line(text)})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime) // Ctrl-C is told, too
	defer cancel()
	m.sender.Flush(ctx)
}

// run tells how a run ended: what it did, or why it did not. One that had nothing to
// do is not told.
func (m *messenger) run(ctx context.Context, env string, done reconcile.NoticeKind, rep *apply.Report, opts apply.ApplyOptions, err error) {
	switch {
	case m == nil || m.sender == nil:
	case rep == nil && errors.As(err, new(*hint.Refused)): // who was asked has said no
	case err != nil:
		text := fmt.Sprintf("%s: %v", runBy(opts), err)
		m.tell(ctx, env, kindOf(err), text)
	case rep != nil && rep.Revision > 0:
		text := fmt.Sprintf("revision %d, %s; %s", rep.Revision, runBy(opts), report.Summary(&rep.Plan))
		m.tell(ctx, env, done, text)
	}
}

// kindOf is what a failure is told as.
func kindOf(err error) reconcile.NoticeKind {
	switch {
	case errors.As(err, new(*health.NotHealthy)):
		return reconcile.NoticeUnhealthy
	case errors.As(err, new(*hint.Refused)):
		return reconcile.NoticeRefused
	}
	return reconcile.NoticeFailed
}

// runBy is who ran what, why, and where its log is.
func runBy(opts apply.ApplyOptions) string {
	parts := []string{"by " + opts.Who}
	if commit := opts.Git.String(); commit != "" {
		parts = append(parts, "commit "+commit)
	}
	said := record.Revision{Message: opts.Message, DespiteFreeze: opts.DespiteFreeze}.Said()
	for _, more := range []string{said, runLink(os.Getenv)} {
		if more != "" {
			parts = append(parts, more)
		}
	}
	return strings.Join(parts, ", ")
}

// runLink is where the log of a pipeline's run is, as the variables of its service say.
func runLink(getenv func(string) string) string {
	if run := getenv("GITHUB_RUN_ID"); run != "" {
		return getenv("GITHUB_SERVER_URL") + "/" + getenv("GITHUB_REPOSITORY") + "/actions/runs/" + run
	}
	if link := cmp.Or(getenv("CI_JOB_URL"), getenv("BUILD_URL")); link != "" { // GitLab, Jenkins
		return link
	}
	// Alibaba Cloud DevOps Flow has the two numbers (help.aliyun.com, document 153688); the
	// address of a pipeline is that of its API's documentation (pipelineId).
	if id, run := getenv("PIPELINE_ID"), getenv("BUILD_NUMBER"); digits(id) && digits(run) && getenv("PIPELINE_NAME") != "" {
		return "https://flow.aliyun.com/pipelines/" + id + "/current, run " + run
	}
	// Gitee Go says what it is called, and no address of it (help.gitee.com, gitee-go/pipeline/parameter).
	if name := getenv("GITEE_PIPELINE_NAME"); name != "" {
		return "Gitee Go " + name + ", build " + getenv("GITEE_PIPELINE_BUILD_NUMBER")
	}
	return ""
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
