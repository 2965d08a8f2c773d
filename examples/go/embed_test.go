package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

type entry struct {
	Text   string    `json:"text"`
	IDs    []int64   `json:"input_ids"`
	Vector []float32 `json:"sentence_embedding"`
}

// TestGolden runs the texts of golden.json as one batch and one by one: BUNDLE=... ORT_DYLIB_PATH=... go test
func TestGolden(t *testing.T) {
	bundle := os.Getenv("BUNDLE")
	if bundle == "" {
		bundle = "../../models/potion-base-2M-onnx"
	}
	content, err := os.ReadFile(filepath.Join(bundle, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Tolerance float64 `json:"tolerance"`
		Texts     []entry `json:"texts"`
	}
	if err := json.Unmarshal(content, &golden); err != nil {
		t.Fatal(err)
	}
	session, err := open(bundle, "sentence_embedding", "input_ids", "token_offsets")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Destroy()
	t.Run("one batch", func(t *testing.T) { check(t, session, golden.Texts, golden.Tolerance) })
	t.Run("one by one", func(t *testing.T) {
		for _, one := range golden.Texts {
			check(t, session, []entry{one}, golden.Tolerance)
		}
	})
}

func check(t *testing.T, session *encoder, entries []entry, tolerance float64) {
	t.Helper()
	texts := make([]string, len(entries))
	for i, entry := range entries {
		texts[i] = entry.Text
	}
	outputs := []ort.Value{nil, nil, nil}
	if err := run(session, texts, outputs); err != nil {
		t.Fatal(err)
	}
	for _, output := range outputs {
		defer output.Destroy()
	}
	vectors := rows(outputs[0])
	ids := outputs[1].(*ort.Tensor[int64]).GetData()
	starts := append(slices.Clone(outputs[2].(*ort.Tensor[int64]).GetData()), int64(len(ids)))
	if len(vectors) != len(entries) {
		t.Fatalf("%d vectors for %d texts", len(vectors), len(entries))
	}
	for i, want := range entries {
		if got := ids[starts[i]:starts[i+1]]; !slices.Equal(got, want.IDs) {
			t.Errorf("%.40q: token ids %v, expected %v", want.Text, got, want.IDs)
		}
		if len(vectors[i]) != len(want.Vector) {
			t.Fatalf("%.40q: %d dimensions, expected %d", want.Text, len(vectors[i]), len(want.Vector))
		}
		for j, got := range vectors[i] {
			// Not "difference > tolerance": a NaN must fail too.
			if difference := math.Abs(float64(got) - float64(want.Vector[j])); !(difference <= tolerance) {
				t.Fatalf("%.40q: the vector is off by %.1e, allowed are %.1e", want.Text, difference, tolerance)
			}
		}
	}
}
