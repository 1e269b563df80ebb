package lint

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	imageref "github.com/distribution/reference"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkImages: a tag that stays what it is, from the site's registry.
func checkImages(w *world) {
	harbor := tree.Text(tree.At(w.env.Site, "harbor", "host"))
	allowed := []string{}
	for _, mirror := range tree.Map(tree.At(w.env.Site, "images", "mirror")) {
		allowed = append(allowed, tree.Text(mirror))
	}
	slices.Sort(allowed)
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			image := tree.Text(c["image"])
			if image == "" {
				return
			}
			at := append(slices.Clip(path), "image")
			registry, tag, digest := splitImage(image)
			f := p.located.at("image", at...)
			f.Found = quote(image)
			switch {
			case !isImage(image):
				f.Message = "no name of an image: no node could pull it"
			case tag == "" && digest == "":
				f.Message = "an image without a tag: the next pull may be another one"
			case tag == "latest" && digest == "":
				f.Message = "the tag latest: the next pull may be another image"
				f.Hint = "name a version"
			case p.unit.App && harbor != "" && registry != harbor && !mirrored(image, allowed, harbor):
				f.Message = "not from the site's registry"
				f.Expected = "an image of " + harbor
			default:
				return
			}
			w.report(f)
		})
	}
}

// mirrored says whether an image comes through a mirror on the site's registry.
func mirrored(image string, mirrors []string, harbor string) bool {
	return slices.ContainsFunc(mirrors, func(m string) bool {
		return strings.HasPrefix(m, harbor) && strings.HasPrefix(image, m+"/")
	})
}

// isImage says whether container runtimes take a text as the name of an image.
func isImage(text string) bool {
	_, err := imageref.ParseNormalizedNamed(text)
	return err == nil
}

// splitImage takes an image reference apart as container runtimes do; a name
// without a registry is one of docker.io.
func splitImage(image string) (registry, tag, digest string) {
	name, digest, _ := strings.Cut(image, "@")
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		name, tag = name[:at], name[at+1:]
	}
	registry, _, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry = "docker.io"
	}
	return registry, tag, digest
}

// checkPasswords finds passwords that everybody knows: the published defaults of
// the systems that the stacks deploy. The value itself is never repeated.
func checkPasswords(w *world) {
	for _, o := range w.byKind["Secret"] {
		for _, field := range []string{"data", "stringData"} {
			data := tree.Map(o.Content[field])
			for _, key := range sortedKeys(data) {
				value := tree.Text(data[key])
				if field == "data" {
					raw, err := base64.StdEncoding.DecodeString(value)
					if err != nil {
						continue
					}
					value = string(raw)
				}
				if published(key, value) {
					f := o.at("password", field, key)
					f.Message = "a password that is published as a default"
					w.report(f)
				}
			}
		}
	}
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			tree.Each(c["env"], func(i int, env map[string]any) {
				name, value := tree.Text(env["name"]), tree.Text(env["value"])
				f := p.located.at("password", append(slices.Clip(path), "env", i, "value")...)
				switch {
				case value == "" || named(c["env"], name) > 1: // which of them is meant is said first
					return
				case published(name, value):
					f.Message = "a password that is published as a default"
				case (secretName(name) || secretValue(name, value)) && !strings.Contains(value, "$(") && !isSwitch(value):
					f.Warning = true
					f.Message = fmt.Sprintf("%s looks like a password in plain text", name)
				case credential(value):
					f.Warning = true
					f.Message = fmt.Sprintf("%s has a password in plain text", name)
				default:
					return
				}
				f.Hint = "take it from a Secret: valueFrom: secretKeyRef"
				if p.unit.App {
					f.Hint = fmt.Sprintf("take it from a Secret: envRef: %s: {secret: ..., key: ...}", name)
				}
				w.report(f)
			})
			w.checkArguments(p, c, path)
		})
	}
}

// checkArguments finds passwords in the command line of a container.
func (w *world) checkArguments(p podSource, c map[string]any, path typed.Path) {
	for _, field := range []string{"command", "args"} {
		words := tree.Texts(c[field])
		for i, word := range words {
			flag, value, ok := strings.Cut(word, "=")
			if !ok && i+1 < len(words) {
				value = words[i+1]
			}
			given := strings.HasPrefix(flag, "-") && !strings.ContainsAny(flag, " \n") && secretName(flag)
			if !credential(word) && (!given || value == "" || strings.ContainsAny(value[:1], "-/$<{") || isSwitch(value) || strings.Contains(value, "$(")) {
				continue
			}
			f := p.located.at("password", append(slices.Clip(path), field, i)...)
			f.Warning, f.Message = true, "an argument with a password in plain text"
			f.Hint = "name a variable in its place, $(NAME), that comes from a Secret"
			w.report(f)
		}
	}
}

// withPassword matches the password in an address, and in the parameters of one.
var withPassword = regexp.MustCompile(`(?:[a-z]://[^/\s:@"']+:|://\S*[?&;]password=)([^/\s@"'&;]+)(@)?`)

// credential says whether a text has an address with a password, and no variable in its place.
func credential(text string) bool {
	if !strings.Contains(text, "://") {
		return false // as most, and to match long ones takes time
	}
	for _, m := range withPassword.FindAllStringSubmatch(text, -1) {
		if !strings.ContainsAny(m[1], "${}<>*") && (m[2] != "" || strings.Contains(m[0], "password=")) {
			return true
		}
	}
	return false
}

// named is how many of the items have a name.
func named(items any, name string) (n int) {
	tree.Each(items, func(_ int, item map[string]any) {
		if item["name"] == name {
			n++
		}
	})
	return n
}

func published(key, value string) bool {
	switch value {
	case "Harbor12345", "not-a-secure-key", "harbor_registry_password", "SecretKey012345678901234567890123456789",
		"86295dd0c4ef69a1036b0b0c15158d77": // signSecret of dubbo-admin
		return true
	}
	if !secretName(key) {
		return false
	}
	switch value {
	case "admin", "root", "password", "123456", "12345678", "nacos", "changeit", "changeme", "guest", "admin123":
		return true
	}
	return false
}

// secretName says whether a variable or key holds a secret by its name.
func secretName(name string) bool {
	lower := strings.ToLower(name)
	if slices.ContainsFunc([]string{"_file", "_path", "-file", "-path", ".file", ".path"}, func(end string) bool { return strings.HasSuffix(lower, end) }) {
		return false
	}
	for _, word := range []string{"password", "passwd", "secret_key", "secretkey", "secret-key", "api_key", "apikey", "access_token"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// isSwitch says whether a value is one of a switch, as of ALLOW_EMPTY_PASSWORD.
func isSwitch(value string) bool {
	return slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "0", "1"}, strings.ToLower(value))
}

// secretValue says whether a variable holds a secret by its name, which may also be that
// of a place or of a length, and by its value: letters and digits without an order.
func secretValue(name, value string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc([]string{"token", "secret", "private_key", "access_key", "signing_key", "encryption_key", "credentials"}, func(end string) bool {
		return strings.HasSuffix(lower, end)
	}) && randomText.MatchString(value) && strings.ContainsAny(value, "0123456789") &&
		strings.ContainsFunc(value, unicode.IsLetter)
}

// randomText matches what a generator of passwords writes, and no path, URL or duration.
var randomText = regexp.MustCompile(`^[A-Za-z0-9+=_.~!@#%^&*-]{12,}$`)

// openers are arguments that let everybody in, by the program that takes them.
var openers = map[string]string{ //nolint:gochecknoglobals // a table
	"--enable-skip-login":                "the dashboard lets everybody in with its own rights",
	"--enable-insecure-login":            "tokens travel to the dashboard in clear text",
	"--disable-settings-authorizer":      "everybody may change the dashboard's settings",
	"--api.insecure":                     "everybody who reaches Traefik's port 8080 sees all routes",
	"-unsafe-use-service-account-token":  "everybody works with Headlamp's own rights",
	"--unsafe-use-service-account-token": "everybody works with Headlamp's own rights",
}

// checkOpenAccess finds arguments that take the login away.
func checkOpenAccess(w *world) {
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			for i, arg := range tree.Texts(c["args"]) {
				name, value, _ := strings.Cut(arg, "=")
				effect, ok := openers[name]
				if !ok || value == "false" {
					continue
				}
				f := p.located.at("open-access", append(slices.Clip(path), "args", i)...)
				f.Message, f.Found = effect, quote(arg)
				w.report(f)
			}
		})
	}
}

// checkClusterAdmin: nothing that an environment deploys needs all rights.
func checkClusterAdmin(w *world) {
	for _, o := range slices.Concat(w.byKind["ClusterRoleBinding"], w.byKind["RoleBinding"]) {
		ref := tree.Map(o.Content["roleRef"])
		if tree.Text(ref["kind"]) == "ClusterRole" && tree.Text(ref["name"]) == "cluster-admin" {
			f := o.at("cluster-admin", "roleRef", "name")
			f.Message = "binds cluster-admin: all rights in the whole cluster"
			f.Hint = "bind view or edit, or a role of the rights that are needed"
			w.report(f)
		}
	}
	for _, o := range w.byKind["ClusterRole"] {
		tree.Each(o.Content["rules"], func(i int, rule map[string]any) {
			if slices.Contains(tree.Texts(rule["verbs"]), "*") && slices.Contains(tree.Texts(rule["resources"]), "*") && slices.Contains(tree.Texts(rule["apiGroups"]), "*") {
				f := o.at("cluster-admin", "rules", i)
				f.Message = "all verbs on all resources: as much as cluster-admin"
				w.report(f)
			}
		})
	}
}
