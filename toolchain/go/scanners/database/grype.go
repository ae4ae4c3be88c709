package main

import (
	"os"
	"strings"

	"github.com/spf13/afero"

	v6 "github.com/anchore/grype/grype/db/v6"
)

// How grype's database names what it has advisories of. Rocky Linux has those of Red Hat there.
var (
	systems = map[string]v6.OperatingSystem{
		"debian": {Name: "debian", ReleaseID: "debian"},
		"ubuntu": {Name: "ubuntu", ReleaseID: "ubuntu"},
		"rocky":  {Name: "redhat", ReleaseID: "rhel"},
	}
	ecosystems = map[string]string{"debian": "deb", "ubuntu": "deb", "rocky": "rpm", "go": "go-module"}
	versions   = map[string]string{"debian": "dpkg", "ubuntu": "dpkg", "rocky": "rpm", "go": "go"}
)

func writeForGrype(advisories []advisory, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	writer, err := v6.NewWriter(v6.Config{DBDirPath: folder})
	if err != nil {
		return err
	}
	for _, item := range advisories {
		if err := putForGrype(writer, item); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	if err := v6.Hydrater()(folder); err != nil {
		return err
	}
	_, err = v6.WriteImportMetadata(afero.NewOsFs(), folder, "advisories of a test")
	return err
}

func putForGrype(writer v6.ReadWriter, item advisory) error {
	one := &v6.VulnerabilityHandle{
		Name:      item.ID,
		Status:    v6.VulnerabilityActive,
		Provider:  &v6.Provider{ID: item.System, Version: "1"},
		BlobValue: &v6.VulnerabilityBlob{ID: item.ID, Severities: []v6.Severity{{Scheme: v6.SeveritySchemeHML, Value: "high"}}},
	}
	if err := writer.AddVulnerabilities(one); err != nil {
		return err
	}
	affected := &v6.PackageBlob{Ranges: []v6.Range{{
		Version: v6.Version{Type: versions[item.System], Constraint: "< " + item.Fixed},
		Fix:     &v6.Fix{Version: item.Fixed, State: v6.FixedStatus},
	}}}
	return writer.AddAffectedPackages(&v6.AffectedPackageHandle{
		Vulnerability:   one,
		OperatingSystem: system(item),
		Package:         &v6.Package{Name: item.Package, Ecosystem: ecosystems[item.System]},
		BlobValue:       affected,
	})
}

func system(item advisory) *v6.OperatingSystem {
	found, is := systems[item.System]
	if !is {
		return nil
	}
	found.MajorVersion, found.MinorVersion, _ = strings.Cut(item.Release, ".")
	return &found
}
