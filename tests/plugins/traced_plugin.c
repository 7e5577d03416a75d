/* affine.c under the name `traced`, which leaves a trace when it is loaded. */
#define regflow_plugin_entry sound_entry
#include "../../examples/plugin/c/affine.c"
#undef regflow_plugin_entry
#include "tracer.c"

const regflow_plugin_table_t *regflow_plugin_entry(void) {
    static regflow_flow_table_t flow;
    static const void *const flows[] = {&flow};
    static const regflow_kind_list_t kinds[] = {{REGFLOW_KIND_FLOW, 0, flows, 1}};
    static regflow_plugin_table_t plugin;
    const regflow_str_t name = TEXT("traced");
    flow = FLOW;
    flow.head.name = name;
    plugin = PLUGIN;
    plugin.kinds = kinds;
    return &plugin;
}
