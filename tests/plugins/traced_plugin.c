/* affine.c, which leaves a trace when it is loaded. */
#include "../../examples/plugin/c/affine.c"
#include "tracer.c"
