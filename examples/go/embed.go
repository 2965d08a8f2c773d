// Embed prints vectors of texts: go run . BUNDLE TEXT ...
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// open loads the onnxruntime library that ORT_DYLIB_PATH names and the graph of a bundle. The caller destroys the
// session.
func open(bundle string, outputs ...string) (*ort.DynamicAdvancedSession, error) {
	if !ort.IsInitialized() {
		ort.SetSharedLibraryPath(os.Getenv("ORT_DYLIB_PATH"))
		if err := ort.InitializeEnvironment(); err != nil {
			return nil, err
		}
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// One thread: the graph's operations are too small to share.
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	graph := filepath.Join(bundle, "onnx", "text.onnx")
	return ort.NewDynamicAdvancedSession(graph, []string{"utf8", "offsets"}, outputs, options)
}

// run gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. The caller destroys the outputs.
func run(session *ort.DynamicAdvancedSession, texts []string, outputs []ort.Value) error {
	utf8 := []byte(strings.Join(texts, ""))
	starts := make([]int64, len(texts))
	for i := 1; i < len(texts); i++ {
		starts[i] = starts[i-1] + int64(len(texts[i-1]))
	}
	bytes, err := ort.NewTensor(ort.NewShape(int64(len(utf8))), utf8)
	if err != nil {
		return err
	}
	defer bytes.Destroy()
	offsets, err := ort.NewTensor(ort.NewShape(int64(len(starts))), starts)
	if err != nil {
		return err
	}
	defer offsets.Destroy()
	return session.Run([]ort.Value{bytes, offsets}, outputs)
}

// rows cuts a float32 [N, dim] tensor into N vectors, copied, so that they outlive it.
func rows(value ort.Value) [][]float32 {
	dim := value.GetShape()[1]
	vectors := make([][]float32, value.GetShape()[0])
	data := value.(*ort.Tensor[float32]).GetData()
	for i := range vectors {
		vectors[i] = append(vectors[i], data[int64(i)*dim:int64(i+1)*dim]...)
	}
	return vectors
}

// embed returns one vector for each text.
func embed(session *ort.DynamicAdvancedSession, texts []string) ([][]float32, error) {
	outputs := []ort.Value{nil} // onnxruntime makes it
	if err := run(session, texts, outputs); err != nil {
		return nil, err
	}
	defer outputs[0].Destroy()
	return rows(outputs[0]), nil
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: go run . BUNDLE TEXT ...")
	}
	bundle, texts := os.Args[1], os.Args[2:]
	session, err := open(bundle, "sentence_embedding")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Destroy()
	vectors, err := embed(session, texts)
	if err != nil {
		log.Fatal(err)
	}
	for i, vector := range vectors {
		for _, value := range vector[:4] {
			fmt.Printf("%.4f ", value)
		}
		fmt.Printf("... (%d dimensions)  %s\n", len(vector), texts[i])
	}
}
