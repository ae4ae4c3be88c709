package main

import (
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/bucket"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
)

func writeForTrivy(advisories []advisory, folder string) error {
	if err := db.Init(folder); err != nil {
		return err
	}
	defer db.Close()
	err := db.Config{}.BatchUpdate(func(tx *bolt.Tx) error {
		for _, item := range advisories {
			if err := putForTrivy(tx, item); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	never := time.Now().AddDate(100, 0, 0)
	return metadata.NewClient(folder).Update(metadata.Metadata{Version: db.SchemaVersion, NextUpdate: never, UpdatedAt: time.Now()})
}

func putForTrivy(tx *bolt.Tx, item advisory) error {
	source := types.DataSource{ID: types.SourceID(item.System), Name: item.System}
	var found any = types.Advisory{FixedVersion: item.Fixed}
	var in bucket.Bucket
	var err error
	switch item.System {
	case "debian":
		in = bucket.NewDebian(item.Release)
	case "ubuntu":
		in = bucket.NewUbuntu(item.Release)
	case "rocky":
		in = bucket.NewRocky(item.Release)
		one := types.Advisory{FixedVersion: item.Fixed, Arches: []string{"x86_64"}}
		found = types.Advisories{FixedVersion: item.Fixed, Entries: []types.Advisory{one}}
	case "go":
		source = types.DataSource{ID: vulnerability.GHSA, Name: "GitHub Security Advisory Go"}
		in, err = bucket.NewGo(source)
		found = types.Advisory{VulnerableVersions: []string{"<" + item.Fixed}, PatchedVersions: []string{item.Fixed}}
	default:
		err = fmt.Errorf("%s: no such system", item.System)
	}
	if err != nil {
		return err
	}
	config := db.Config{}
	if err := config.PutDataSource(tx, in.Name(), source); err != nil {
		return err
	}
	if err := config.PutAdvisory(tx, []string{in.Name(), item.Package}, item.ID, found); err != nil {
		return err
	}
	return config.PutVulnerability(tx, item.ID, types.Vulnerability{Title: item.ID, Severity: "HIGH"})
}
