// Embed prints vectors of texts: go run . BUNDLE TEXT ...
package main

import (
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

// encoder is an open text.onnx. The caller destroys it.
type encoder struct {
	*ort.DynamicAdvancedSession
	limit int // bytes of a text that may count; the graph cuts the rest off, but slowly
}

// open loads the onnxruntime library that ORT_DYLIB_PATH names, and a bundle's text.onnx, which finds model.onnx_data
// beside it.
func open(bundle string, outputs ...string) (*encoder, error) {
	if !ort.IsInitialized() {
		// onnxruntime sends telemetry from version 1.29 on, unless this is set before it is loaded.
		if _, set := os.LookupEnv("ORT_DISABLE_TELEMETRY"); !set {
			os.Setenv("ORT_DISABLE_TELEMETRY", "1")
		}
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
	// A pattern keeps a plan for each size of input that it sees: memory would grow.
	if err := options.SetMemPattern(false); err != nil {
		return nil, err
	}
	graph := filepath.Join(bundle, "onnx", "text.onnx")
	session, err := ort.NewDynamicAdvancedSession(graph, []string{"utf8", "offsets"}, outputs, options)
	if err != nil {
		return nil, err
	}
	limit, err := bytesThatCount(session)
	return &encoder{session, limit}, err
}

// bytesThatCount is four bytes for each of the characters that the graph reads of a text.
func bytesThatCount(session *ort.DynamicAdvancedSession) (int, error) {
	metadata, err := session.GetModelMetadata()
	if err != nil {
		return 0, err
	}
	defer metadata.Destroy()
	limit := 4
	for _, key := range []string{"max_length", "median_token_length"} {
		value, _, err := metadata.LookupCustomMetadataMap(key)
		if err != nil {
			return 0, err
		}
		number, err := strconv.Atoi(value)
		if err != nil { // null: a text has no limit
			return math.MaxInt, nil
		}
		limit *= number
	}
	return limit, nil
}

// run gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. The caller destroys the outputs.
func run(session *encoder, texts []string, outputs []ort.Value) error {
	var utf8 []byte
	starts := make([]int64, len(texts))
	for i, text := range texts {
		starts[i] = int64(len(utf8))
		utf8 = append(utf8, text[:min(len(text), session.limit)]...)
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
func embed(session *encoder, texts []string) ([][]float32, error) {
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
