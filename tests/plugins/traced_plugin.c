/* affine.c, which leaves a trace when it is loaded. */
#include "affine.c"
#include "tracer.c"
