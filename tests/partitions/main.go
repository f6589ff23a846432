// Prints keys and the partitions that Sarama's hash partitioner, the built-in
// component's, gives them: FNV-1a of the key as a signed number, modulo the
// partitions, without its sign. It uses Go's own hash/fnv, so that the test
// compares librdkafka with something independent.
//
//	go run ./tests/partitions > tests/partitions/pairs.jsonl
package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
)

const partitions = 12

func main() {
	keys := []string{"", " ", "0", "ä", "ключ", "键", "🔑", "a b", "A", "a", strings.Repeat("long", 100)}
	for i := len(keys); i < 200; i++ {
		keys = append(keys, fmt.Sprintf("task-%d", i*i*7919))
	}
	out := json.NewEncoder(os.Stdout)
	for _, key := range keys {
		hash := fnv.New32a()
		hash.Write([]byte(key))
		partition := int32(hash.Sum32()) % partitions
		if partition < 0 {
			partition = -partition
		}
		out.Encode([]any{key, partition})
	}
}
