package main

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a kubeconfig with one context of the given name, which
// holds the certificate NAME of dir by value: the file can be copied elsewhere.
func writeKubeconfig(path, context, server, dir, name string) error {
	files := make([][]byte, 3)
	for i, file := range []string{"ca.crt", name + ".crt", name + ".key"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		files[i] = data
	}
	return clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{context: {Server: server, CertificateAuthorityData: files[0]}},
		AuthInfos:      map[string]*api.AuthInfo{context: {ClientCertificateData: files[1], ClientKeyData: files[2]}},
		Contexts:       map[string]*api.Context{context: {Cluster: context, AuthInfo: context}},
		CurrentContext: context,
	}, path)
}

// refuseForeignFile refuses to write where a file stands already: it may well be
// the user's own kubeconfig, and the sandbox removes its kubeconfig at the end.
func refuseForeignFile(path string) error {
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		return fmt.Errorf("--kubeconfig %s: a file stands there already, and the sandbox would remove it when it stops", path)
	}
	return nil
}
