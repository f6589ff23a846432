// Prints texts and what Go's time.ParseDuration, which dapr/kit calls, reads in
// them: nanoseconds, or error. Some texts stand here, the rest is random with a
// fixed seed.
//
//	go run ./tests/durations > tests/durations/table.tsv
package main

import (
	"fmt"
	"math/rand"
	"strings"
	"time"
)

func main() {
	texts := []string{"0", "+0", "-0", "5", "-5", "1s", "+1s", "-1s", "1.5h", "1h30m", "300ms", "-1.5h", ".5s", "1.s", ".s", "s", "", " 1s", "1s ", "1 s", "1h 30m", "1m1m", "30m1h", "1us", "1µs", "1μs", "1ns", "0.5ns", "1.9999999999ns", "1d", "1w", "1day", "1sec", "1min", "1M", "1S", "1H", "1MS", "9223372036854775807ns", "9223372036854775808ns", "-9223372036854775808ns", "-9223372036854775809ns", "2562047h47m16.854775807s", "2562047h47m16.854775808s", "2562048h", "99999999999999999999s", "0.00000000000000000000000001s", "0.1234567890123456789012345s", "1e3s", "1_000s", "0x10s", "1,5s", "1.5.5s", "--1s", "+-1s", "1s-1s", "1h-30m", "1h+30m", "1.0000000001h", "0.3333333333333333333h", "9007199254.740993ms", "100h60m60s", "00001s", "0h0m0s", "1", "1.5", "1.h.5m", "∞s", "1s\u00a0", "١s", "1m s", "1ms1us1ns", "18446744073709551616ns", "9223372036.854775807s", "9223372036.854775808s", "0.9223372036854775807h", "0.9223372036854775808h", "1.9223372036854775808m", "1\u00b5s1\u03bcs", "-.5m", "+.5m", "-", "+", ".", "-.", "1.", "h1"}
	r := rand.New(rand.NewSource(7))
	units := []string{"ns", "us", "ms", "s", "m", "h"}
	for i := 0; i < 120; i++ {
		var b strings.Builder
		if r.Intn(4) == 0 {
			b.WriteString([]string{"+", "-"}[r.Intn(2)])
		}
		for n := r.Intn(3); n >= 0; n-- {
			fmt.Fprintf(&b, "%d", r.Intn([]int{10, 1000, 1000000000}[r.Intn(3)]))
			if r.Intn(2) == 0 {
				fmt.Fprintf(&b, ".%d", r.Int63n([]int64{10, 100000, 1 << 60}[r.Intn(3)]))
			}
			b.WriteString(units[r.Intn(len(units))])
		}
		texts = append(texts, b.String())
	}
	for _, text := range texts {
		d, err := time.ParseDuration(text)
		if err != nil {
			fmt.Printf("%s\terror\n", text)
		} else {
			fmt.Printf("%s\t%d\n", text, int64(d))
		}
	}
}
