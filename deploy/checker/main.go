// Command checker does what `helm lint`, `helm template`, `docker compose config` and
// `kustomize build` do, with the same libraries and nothing of their command lines: it is built
// in a fraction of the time, and its go.sum pins every part of it.
//
//	checker lint CHART [VALUES...]
//	checker template CHART [VALUES...]
//	checker compose FILE [PROFILE...]
//	checker kustomize FOLDER
//
// What is found wrong goes to standard error, and the exit code is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	release   = "pointsman"
	namespace = "default"
)

var commands = map[string]func(target string, others []string) error{
	"lint":      lintChart,
	"template":  template,
	"compose":   compose,
	"kustomize": kustomize,
}

func main() {
	if len(os.Args) < 3 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: checker lint|template|compose|kustomize TARGET [MORE...]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// lintChart refuses whatever is more than a piece of information.
func lintChart(chart string, files []string) error {
	values, err := readValues(files)
	if err != nil {
		return err
	}
	var found []error
	for _, message := range lint.RunAll(chart, values, namespace).Messages {
		if message.Severity > support.InfoSev {
			found = append(found, message)
		}
	}
	return errors.Join(found...)
}

// template prints every manifest in the order of its file's name, hooks among them.
func template(folder string, files []string) error {
	values, err := readValues(files)
	if err != nil {
		return err
	}
	chart, err := loader.Load(folder)
	if err != nil {
		return err
	}
	options := common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1}
	// The values are held against values.schema.json here.
	all, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return err
	}
	rendered, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return err
	}
	printManifests(rendered)
	return nil
}

func printManifests(rendered map[string]string) {
	names := make([]string, 0, len(rendered))
	for name, text := range rendered {
		if path.Ext(name) == ".yaml" && strings.TrimSpace(text) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("---\n# Source: %s\n%s\n", name, strings.Trim(rendered[name], "\n"))
	}
}

// compose prints the file as it is understood: interpolated, merged, with its defaults.
func compose(file string, profiles []string) error {
	options, err := cli.NewProjectOptions(
		[]string{file}, cli.WithProfiles(profiles), cli.WithOsEnv, cli.WithResolvedPaths(false),
	)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	text, err := project.MarshalYAML()
	if err != nil {
		return err
	}
	fmt.Print(string(text))
	return nil
}

func kustomize(folder string, _ []string) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return err
	}
	text, err := built.AsYaml()
	if err != nil {
		return err
	}
	fmt.Print(string(text))
	return nil
}

// readValues merges the files as `helm --values` does: the later one wins, member by member.
func readValues(files []string) (map[string]any, error) {
	merged := map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		merged = util.CoalesceTables(values, merged)
	}
	return merged, nil
}
