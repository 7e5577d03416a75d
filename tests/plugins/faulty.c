/* affine.c with one fault, chosen by -DFAULT_...: what the host must notice. FAULT_FUNCTION names a function of the flow. */
#define regflow_plugin_entry sound_entry
#include "../../examples/plugin/c/affine.c"
#undef regflow_plugin_entry

/* One operation on a result that replaces it. */
static void change(const regflow_instance_t *instance, regflow_tensor_t **tensor, uint32_t code,
                   const regflow_attr_t *attrs, uint64_t n_attrs) {
    const regflow_host_ops_t *host = ((const affine_t *)instance)->host;
    const regflow_tensor_t *input = *tensor;
    regflow_tensor_t *output = NULL;
    if (host->op(host->context, code, &input, 1, attrs, n_attrs, &output, 1) == REGFLOW_STATUS_OK) {
        host->release(host->context, *tensor);
        *tensor = output;
    }
}

static int32_t faulty_forward(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                              regflow_tensor_t **log_det) {
    int32_t status = forward(flow, x, y, log_det);
    const int64_t zero = 0, one = 1, u32 = REGFLOW_DTYPE_U32;
    const regflow_attr_t narrow[3] = {{REGFLOW_KEY_DIM, REGFLOW_ATTR_INTS, 0.0, &one, 1},
                                      {REGFLOW_KEY_START, REGFLOW_ATTR_INTS, 0.0, &zero, 1},
                                      {REGFLOW_KEY_LEN, REGFLOW_ATTR_INTS, 0.0, &one, 1}};
    const regflow_attr_t cast[1] = {{REGFLOW_KEY_DTYPE, REGFLOW_ATTR_INTS, 0.0, &u32, 1}};
    const regflow_attr_t nothing[2] = {{REGFLOW_KEY_SCALE, REGFLOW_ATTR_FLOAT, 0.0, NULL, 0},
                                       {REGFLOW_KEY_SHIFT, REGFLOW_ATTR_FLOAT, 0.0, NULL, 0}};
    const regflow_attr_t shifted[2] = {{REGFLOW_KEY_SCALE, REGFLOW_ATTR_FLOAT, 1.0, NULL, 0},
                                       {REGFLOW_KEY_SHIFT, REGFLOW_ATTR_FLOAT, 0.5, NULL, 0}};
    (void)narrow, (void)cast, (void)nothing, (void)shifted, (void)change;
#if defined FAULT_SHAPE
    change(flow, y, REGFLOW_OP_NARROW, narrow, 3);
#elif defined FAULT_DTYPE
    change(flow, log_det, REGFLOW_OP_CAST, cast, 1);
#elif defined FAULT_NOT_FINITE
    change(flow, y, REGFLOW_OP_AFFINE, nothing, 2);
    change(flow, y, REGFLOW_OP_RECIP, NULL, 0);
#elif defined FAULT_LOG_DET
    change(flow, log_det, REGFLOW_OP_AFFINE, shifted, 2);
#elif defined FAULT_INVERSE
    change(flow, y, REGFLOW_OP_AFFINE, shifted, 2);
#elif defined FAULT_SILENT
    const regflow_host_ops_t *host = ((const affine_t *)flow)->host;
    host->release(host->context, *y);
    host->release(host->context, *log_det);
    status = 7;
#elif defined FAULT_OPERATION
    const regflow_host_ops_t *host = ((const affine_t *)flow)->host;
    regflow_tensor_t *none = NULL;
    status = host->op(host->context, 4000000, &x, 1, NULL, 0, &none, 1);
#endif
    return status;
}

const regflow_plugin_table_t *regflow_plugin_entry(void) {
    static regflow_flow_table_t flow;
    static const void *flows[] = {&flow};
    static regflow_kind_list_t kinds[] = {{REGFLOW_KIND_FLOW, 0, flows, 1}};
    static regflow_plugin_table_t plugin;
    flow = FLOW;
    flow.forward = faulty_forward;
    plugin = PLUGIN;
    plugin.kinds = kinds;
#if defined FAULT_MAGIC
    plugin.magic = 42;
#elif defined FAULT_VERSION
    plugin.abi_major = 9;
#elif defined FAULT_TABLE_SIZE
    plugin.struct_size += 8;
#elif defined FAULT_FUNCTION
    flow.FAULT_FUNCTION = NULL;
#elif defined FAULT_KIND
    kinds[0].kind = 77; /* from a later version */
#elif defined FAULT_NULL_TABLE
    flows[0] = NULL;
#elif defined FAULT_SIZE
    flow.head.struct_size = 88;
#elif defined FAULT_ODD_SIZE
    flow.head.struct_size += 4;
#elif defined FAULT_NAME
    flow.head.name.ptr = "../fine";
    flow.head.name.len = 7;
#elif defined FAULT_SCHEMA
    flow.head.config_schema.len -= 1;
#elif defined FAULT_NULL
    return NULL;
#endif
    return &plugin;
}
