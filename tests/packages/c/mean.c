/* A CPython extension with one function: what an honest compiled distribution looks like. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *mean(PyObject *self, PyObject *arguments)
{
	double left, right;

	(void)self;
	if (!PyArg_ParseTuple(arguments, "dd", &left, &right))
		return NULL;
	return PyFloat_FromDouble((left + right) / 2);
}

static PyMethodDef methods[] = {
	{ "mean", mean, METH_VARARGS, "The mean of two numbers." },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = { PyModuleDef_HEAD_INIT, "_mean", NULL, -1, methods };

PyMODINIT_FUNC PyInit__mean(void)
{
	return PyModule_Create(&definition);
}
