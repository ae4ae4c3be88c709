// What `trivy sbom FILE` does, without all else that trivy can: most of its packages, and of the time that they take to
// build, are for other things than the scan of a bill of materials for vulnerabilities.
//
//	trivy sbom FILE
//
// The database is in $TRIVY_CACHE_DIR/db, as trivy has it, and the report is JSON. Decoding, detection and report are trivy's own
// packages, called in its own order (pkg/fanal/artifact/sbom, pkg/scan/local).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aquasecurity/trivy-db/pkg/db"
	ospkgDetector "github.com/aquasecurity/trivy/pkg/detector/ospkg"
	"github.com/aquasecurity/trivy/pkg/log"
	"github.com/aquasecurity/trivy/pkg/sbom"
	"github.com/aquasecurity/trivy/pkg/scan/langpkg"
	"github.com/aquasecurity/trivy/pkg/scan/ospkg"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/aquasecurity/trivy/pkg/vulnerability"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "sbom" {
		fmt.Fprintln(os.Stderr, "usage: trivy sbom FILE")
		os.Exit(2)
	}
	log.InitLogger(false, false)
	if err := report(filepath.Join(os.Getenv("TRIVY_CACHE_DIR"), "db"), os.Args[2]); err != nil {
		log.Fatal("Fatal error", log.Err(err))
	}
}

func report(database, file string) error {
	if err := db.Init(database); err != nil {
		return err
	}
	defer db.Close()
	results, err := scan(context.Background(), file)
	if err != nil {
		return err
	}
	whole := types.Report{SchemaVersion: 2, ArtifactName: file, Results: results}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(whole)
}

func scan(ctx context.Context, file string) (types.Results, error) {
	target, err := read(ctx, file)
	if err != nil {
		return nil, err
	}
	options := types.ScanOptions{Scanners: types.Scanners{types.VulnerabilityScanner}}
	var results types.Results
	found, _, err := ospkg.NewScanner().Scan(ctx, target, options)
	switch {
	case errors.Is(err, ospkgDetector.ErrUnsupportedOS): // as trivy does: a line in the log, and no findings
	case err != nil:
		return nil, err
	case found.Target != "":
		results = append(results, found)
	}
	libraries, err := langpkg.NewScanner().Scan(ctx, target, options)
	if err != nil {
		return nil, err
	}
	results = append(results, libraries...)
	for i := range results {
		vulnerability.NewClient(db.Config{}).FillInfo(results[i].Vulnerabilities, nil)
	}
	return results, nil
}

func read(ctx context.Context, file string) (types.ScanTarget, error) {
	opened, err := os.Open(filepath.Clean(file))
	if err != nil {
		return types.ScanTarget{}, err
	}
	defer opened.Close()
	format, err := sbom.DetectFormat(opened)
	if err != nil {
		return types.ScanTarget{}, err
	}
	if _, err := opened.Seek(0, 0); err != nil {
		return types.ScanTarget{}, err
	}
	bill, err := sbom.Decode(ctx, opened, format)
	if err != nil {
		return types.ScanTarget{}, err
	}
	target := types.ScanTarget{Name: file, Applications: bill.Applications}
	if bill.Metadata.OS != nil {
		target.OS = *bill.Metadata.OS
	}
	for _, one := range bill.Packages {
		target.Packages = append(target.Packages, one.Packages...)
	}
	return target, nil
}
