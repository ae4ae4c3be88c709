// Writes a small database of vulnerabilities, as trivy has it and as grype has it, from a list of advisories.
//
//	database ADVISORIES FOLDER
//
// The folder gets trivy/db and grype/6, which the two take for their own.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// An advisory says of a package, or of a Go module where there is no release, in which version something was mended.
type advisory struct {
	ID      string `json:"id"`
	System  string `json:"system"` // debian, ubuntu, rocky or go
	Release string `json:"release"`
	Package string `json:"package"`
	Fixed   string `json:"fixed"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: database ADVISORIES FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(file, folder string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var advisories []advisory
	if err := json.Unmarshal(text, &advisories); err != nil {
		return err
	}
	if err := writeForTrivy(advisories, filepath.Join(folder, "trivy", "db")); err != nil {
		return err
	}
	return writeForGrype(advisories, filepath.Join(folder, "grype", "6"))
}
