// Package clip holds the prepared picture of simulated callers: three seconds of a test card, VP8 320x180 at 10 fps, a
// keyframe each second (ffmpeg -f lavfi -i testsrc2=size=320x180:rate=10:duration=3 -c:v libvpx -b:v 90k -g 10).
package clip

import _ "embed"

// TestCard is an IVF file.
//
//go:embed testcard.ivf
var TestCard []byte
