package managed

// guessShape finds the key of a list without managedFields that would tell it: by
// the name of the list as in the built-in kinds (their listMapKeys), else the
// name of the items. A list whose items have no such key is compared as a whole.
func guessShape(at Path, from, to []any) []string {
	for _, names := range likelyKeys(at) {
		if haveKeys(from, names) && haveKeys(to, names) {
			return names
		}
	}
	return nil
}

func likelyKeys(at Path) [][]string {
	if len(at) > 0 {
		switch at[len(at)-1].name {
		case "ports":
			return [][]string{{"containerPort", "protocol"}, {"port", "protocol"}, {"containerPort"}, {"port"}}
		case "volumeMounts":
			return [][]string{{"mountPath"}}
		case "volumeDevices":
			return [][]string{{"devicePath"}}
		case "hostAliases":
			return [][]string{{"ip"}}
		case "topologySpreadConstraints":
			return [][]string{{"topologyKey", "whenUnsatisfiable"}}
		case "rules":
			return [][]string{{"host"}}
		}
	}
	return [][]string{{"name"}}
}
