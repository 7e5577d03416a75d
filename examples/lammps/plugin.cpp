// SPDX-License-Identifier: GPL-2.0-or-later
// What `plugin load regflowplugin.so` calls.

#include "fix_regflow.h"
#include "lammps.h"

#if __has_include("lammpsplugin.h")
#include "lammpsplugin.h"
#else
// Packages of LAMMPS come without this header; the interface is that of its documentation, "Writing plugins".
extern "C" {
typedef void *(lammpsplugin_factory1)(void *);
typedef void *(lammpsplugin_factory2)(void *, int, char **);
typedef struct {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;
    lammpsplugin_factory2 *v2;
  } creator;
  void *handle;
} lammpsplugin_t;
typedef void (*lammpsplugin_regfunc)(lammpsplugin_t *, void *);
}
#endif

using namespace LAMMPS_NS;

static void *create(void *lmp, int argc, char **argv)
{
  return static_cast<Fix *>(new FixRegflow(static_cast<LAMMPS *>(lmp), argc, argv));
}

extern "C" void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  lammpsplugin_t plugin;
  plugin.version = static_cast<LAMMPS *>(lmp)->version;
  plugin.style = "fix";
  plugin.name = "regflow";
  plugin.info = "Monte Carlo moves of a Boltzmann generator";
  plugin.author = "RegFlow";
  plugin.creator.v2 = create;
  plugin.handle = handle;
  reinterpret_cast<lammpsplugin_regfunc>(regfunc)(&plugin, lmp);
}
