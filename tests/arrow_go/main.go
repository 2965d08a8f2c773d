// Reads a Parquet file with arrow-go, the library of Milvus' bulk import, and prints each column's type and the rows.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) error {
	source, err := file.OpenParquetFile(path, false)
	if err != nil {
		return err
	}
	defer source.Close()
	reader, err := pqarrow.NewFileReader(source, pqarrow.ArrowReadProperties{BatchSize: 1024}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	table, err := reader.ReadTable(context.Background())
	if err != nil {
		return err
	}
	defer table.Release()
	types := map[string]string{}
	columns := map[string]any{}
	for i, field := range table.Schema().Fields() {
		types[field.Name] = field.Type.String()
		var values []json.RawMessage
		for _, chunk := range table.Column(i).Data().Chunks() {
			content, err := chunk.MarshalJSON()
			if err != nil {
				return err
			}
			var part []json.RawMessage
			if err := json.Unmarshal(content, &part); err != nil {
				return err
			}
			values = append(values, part...)
		}
		columns[field.Name] = values
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"types": types, "columns": columns})
}
