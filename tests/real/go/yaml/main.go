// Reads texts and writes what kubectl makes of each: one JSON object per line on both sides, see
// agent/core/src/yaml/tests/kubectl.rs. kubectl reads files through NewYAMLOrJSONDecoder of k8s.io/apimachinery, and that
// through sigs.k8s.io/yaml.
//
//	cd tests/real/go/yaml && go run . < ../../../../agent/core/src/yaml/kubectl.jsonl > new && mv new ../../../../agent/core/src/yaml/kubectl.jsonl
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type row struct {
	Text    string            `json:"text,omitempty"`
	Bytes   []byte            `json:"bytes,omitempty"`
	Kubectl []json.RawMessage `json:"kubectl"`
	Error   string            `json:"error,omitempty"`
	// What the reader of the agent makes of it where that is another thing, and the reason; left as they are.
	Here json.RawMessage `json:"here,omitempty"`
	Why  string          `json:"why,omitempty"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text := r.Bytes
		if text == nil {
			text = []byte(r.Text)
		}
		r.Kubectl, r.Error = read(text)
		out.Encode(r)
	}
}

// The documents, without those that hold nothing: kubectl skips these (resource.StreamVisitor).
func read(text []byte) ([]json.RawMessage, string) {
	documents := []json.RawMessage{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var document json.RawMessage
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return documents, ""
		} else if err != nil {
			return nil, err.Error()
		}
		// Then as an unstructured object, whose numbers are int64 or float64.
		var value any
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		if err := utiljson.Unmarshal(document, &value); err != nil {
			return nil, err.Error()
		}
		if value != nil {
			sent, err := json.Marshal(value)
			if err != nil {
				return nil, err.Error()
			}
			documents = append(documents, sent)
		}
	}
}
