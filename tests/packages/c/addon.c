/* A Node-API addon that adds two numbers: what an honest native package looks like. */
#include <node_api.h>

static napi_value sum(napi_env env, napi_callback_info info)
{
	size_t count = 2;
	napi_value arguments[2], result;
	double left = 0, right = 0;

	napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
	napi_get_value_double(env, arguments[0], &left);
	napi_get_value_double(env, arguments[1], &right);
	napi_create_double(env, left + right, &result);
	return result;
}

static napi_value start(napi_env env, napi_value exports)
{
	napi_value function;

	napi_create_function(env, "sum", NAPI_AUTO_LENGTH, sum, NULL, &function);
	napi_set_named_property(env, exports, "sum", function);
	return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, start)
