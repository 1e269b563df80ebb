package main

import "testing"

// TestRunLink has the variables that each service gives a run.
func TestRunLink(t *testing.T) {
	for _, c := range []struct {
		service, want string
		env           map[string]string
	}{
		{"none", "", nil},
		{"GitHub", "https://github.com/ops/deploy/actions/runs/7", map[string]string{"GITHUB_RUN_ID": "7", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ops/deploy"}},
		{"GitLab", "https://git.example.org/ops/deploy/-/jobs/7", map[string]string{"CI_JOB_URL": "https://git.example.org/ops/deploy/-/jobs/7"}},
		{"Jenkins", "https://ci.example.org/job/deploy/7/", map[string]string{"BUILD_URL": "https://ci.example.org/job/deploy/7/", "BUILD_NUMBER": "7"}},
		{"Flow", "https://flow.aliyun.com/pipelines/1084/current, run 7", map[string]string{"PIPELINE_ID": "1084", "PIPELINE_NAME": "deploy", "BUILD_NUMBER": "7"}},
		{"Flow at another address", "https://flow.example.org/1084", map[string]string{"PIPELINE_ID": "1084", "PIPELINE_NAME": "deploy", "BUILD_NUMBER": "7", "BUILD_URL": "https://flow.example.org/1084"}},
		{"another one with a pipeline", "", map[string]string{"PIPELINE_ID": "a/b", "PIPELINE_NAME": "deploy", "BUILD_NUMBER": "7"}},
		{"Gitee Go", "Gitee Go evenkeel-apply, build 7", map[string]string{"GITEE_PIPELINE_NAME": "evenkeel-apply", "GITEE_PIPELINE_BUILD_NUMBER": "7"}},
	} {
		if got := runLink(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %q, want %q", c.service, got, c.want)
		}
	}
}
