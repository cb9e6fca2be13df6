// Reads a log with Go's own verifiers (golang.org/x/mod/sumdb: note, tlog), which share no code with this project.
//
//	verify DIR CLAIMS.json
//
// DIR is a log's folder (C2SP tlog-tiles), CLAIMS what its maker says: keys, proofs, an older root. Exit 0 and "ok" when all of it
// holds; exit 1 and the first thing that does not otherwise.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type claims struct {
	Keys       []string // plain Ed25519 keys that must have signed
	Witness    string   // an Ed25519 cosigning key that must have signed, or ""
	Unknown    int      // signature lines by keys not given
	Index      int64
	Entry      string   // base64
	Inclusion  []string // proof of the entry in the checkpoint's tree
	Old        int64
	OldRoot    string
	Consistent []string // proof from Old to the checkpoint's size
}

func must(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hashes(lines []string) []tlog.Hash {
	var list []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		must("hash", err)
		list = append(list, hash)
	}
	return list
}

// cosigner verifies C2SP cosignature/v1 lines, which package note does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(c.key, []byte(message), signature[8:])
}

func newCosigner(vkey string) cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	must("witness key", err)
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	must("witness key", err)
	return cosigner{parts[0], uint32(hash), key[1:]}
}

// tiles reads hash tiles as tlog-tiles lays them out: Go's paths, without the height.
type tiles struct{ dir string }

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) path(tile tlog.Tile) string {
	return filepath.Join(t.dir, strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var list [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(t.path(tile))
		if err != nil {
			full := tile
			full.W = 256
			if data, err = os.ReadFile(t.path(full)); err != nil {
				return nil, err
			}
			data = data[:tile.W*tlog.HashSize]
		}
		list = append(list, data)
	}
	return list, nil
}

func main() {
	dir := os.Args[1]
	data, err := os.ReadFile(os.Args[2])
	must("claims", err)
	var told claims
	must("claims", json.Unmarshal(data, &told))

	var verifiers []note.Verifier
	for _, key := range told.Keys {
		verifier, err := note.NewVerifier(key)
		must("log key", err)
		verifiers = append(verifiers, verifier)
	}
	if told.Witness != "" {
		verifiers = append(verifiers, newCosigner(told.Witness))
	}
	data, err = os.ReadFile(filepath.Join(dir, "checkpoint"))
	must("checkpoint", err)
	signed, err := note.Open(data, note.VerifierList(verifiers...))
	must("note.Open", err)
	if len(signed.Sigs) != len(verifiers) || len(signed.UnverifiedSigs) != told.Unknown {
		must("signatures", fmt.Errorf("%d verified, %d unknown", len(signed.Sigs), len(signed.UnverifiedSigs)))
	}
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must("size", err)
	root, err := tlog.ParseHash(lines[2])
	must("root", err)

	entry, err := base64.StdEncoding.DecodeString(told.Entry)
	must("entry", err)
	leaf := tlog.RecordHash(entry)
	oldRoot, err := tlog.ParseHash(told.OldRoot)
	must("old root", err)
	must("CheckRecord", tlog.CheckRecord(hashes(told.Inclusion), size, root, told.Index, leaf))
	must("CheckTree", tlog.CheckTree(hashes(told.Consistent), size, root, told.Old, oldRoot))

	var stored, leaves []tlog.Hash
	back := tlog.HashReaderFunc(func(wanted []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, index := range wanted {
			list = append(list, stored[index])
		}
		return list, nil
	})
	for count := int64(0); count < size; {
		tile := tlog.Tile{H: 8, L: 0, N: count / 256, W: int(min(size-count, 256))}
		data, err := os.ReadFile(filepath.Join(dir, strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)))
		must("entries", err)
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			more, err := tlog.StoredHashes(count, data[2:2+length], back)
			must("StoredHashes", err)
			leaves = append(leaves, tlog.RecordHash(data[2:2+length]))
			stored, data, count = append(stored, more...), data[2+length:], count+1
		}
	}
	replayed, err := tlog.TreeHash(size, back)
	must("TreeHash", err)
	if replayed != root {
		must("replay", fmt.Errorf("the entries do not lead to the signed root"))
	}

	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{dir})
	for index := int64(0); index < size; index++ { // every hash tile is part of some proof
		proof, err := tlog.ProveRecord(size, index, reader)
		must("ProveRecord from tiles", err)
		must("CheckRecord from tiles", tlog.CheckRecord(proof, size, root, index, leaves[index]))
	}
	proof, err := tlog.ProveTree(size, told.Old, reader)
	must("ProveTree from tiles", err)
	must("CheckTree from tiles", tlog.CheckTree(proof, size, root, told.Old, oldRoot))

	fmt.Println("ok", size)
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
