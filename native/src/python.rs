//! The Python module: its class, its exception, and what happens to panics.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Arc;

use arrow_array::{Array, Int64Array, StructArray};
use arrow_pyarrow::ToPyArrow;
use arrow_schema::{ArrowError, Field};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::batch::{Batch, Bounds, Part};
use crate::plan::Plan;

create_exception!(
    streaming_etl_native,
    NativeFailure,
    PyException,
    "The native decoder failed: a fault of its own."
);

const FAILED: &str = "the native decoder failed; standard error has the place";

type PyPart = (usize, PyObject, Vec<PyObject>, Option<PyObject>);

/// Decodes batches of flat JSON events by a plan.
#[pyclass(frozen, module = "streaming_etl_native")]
struct FlatDecoder {
    plan: Plan,
}

#[pymethods]
impl FlatDecoder {
    #[new]
    fn new(plan: &str) -> PyResult<Self> {
        let plan = Plan::read(plan).map_err(PyValueError::new_err)?;
        Ok(Self { plan })
    }

    /// Return the events by type, and the rows that are handed on.
    #[pyo3(signature = (raws, bounds, types=None))]
    fn decode(
        &self,
        py: Python,
        raws: &Bound<PyList>,
        bounds: Bounds,
        types: Option<Vec<i64>>,
    ) -> PyResult<(Vec<PyPart>, PyObject)> {
        self.check(raws.len(), &bounds, types.as_deref())?;
        // Nothing that a panic leaves behind is used again.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let (parts, handed_on) = self.decoded(raws, &bounds, types.as_deref())?;
            let parts = parts.into_iter().map(|part| of_part(py, part));
            Ok((parts.collect::<PyResult<_>>()?, handed_on.to_data().to_pyarrow(py)?))
        }));
        decoded.unwrap_or_else(|_| Err(NativeFailure::new_err(FAILED)))
    }
}

impl FlatDecoder {
    /// Refuse arguments that don't fit the plan or each other.
    fn check(&self, rows: usize, bounds: &Bounds, types: Option<&[i64]>) -> PyResult<()> {
        let times = self.plan.types.iter().map(|each| each.times());
        if !bounds.iter().map(Vec::len).eq(times) {
            return Err(PyValueError::new_err("bounds: not one for each timestamp of the types"));
        }
        let count = self.plan.types.len() as i64;
        match types {
            Some(_) if self.plan.tag.is_some() => {
                Err(PyValueError::new_err("types: records have a tag"))
            }
            Some(types) if types.len() != rows => {
                Err(PyValueError::new_err("types: not one for each record"))
            }
            Some(types) if types.iter().any(|each| !(-1..count).contains(each)) => {
                Err(PyValueError::new_err("types: one is none of the plan's"))
            }
            None if self.plan.tag.is_none() && count > 1 => {
                Err(PyValueError::new_err("types: needed of a plan with several and no tag"))
            }
            _ => Ok(()),
        }
    }

    fn decoded(
        &self,
        raws: &Bound<PyList>,
        bounds: &Bounds,
        types: Option<&[i64]>,
    ) -> PyResult<(Vec<Part>, Int64Array)> {
        let mut batch = Batch::new(&self.plan, bounds, raws.len());
        for (row, raw) in raws.iter().enumerate() {
            let told = types.map_or(0, |types| types[row]);
            let raw = raw.downcast::<PyBytes>().ok().map(|raw| raw.as_bytes());
            batch.add(row, raw, usize::try_from(told).ok());
        }
        batch.finish().map_err(failed)
    }
}

fn failed(_: ArrowError) -> PyErr {
    NativeFailure::new_err(FAILED)
}

/// Return a part as Python's objects; all arrays cross the border as one.
fn of_part(py: Python, part: Part) -> PyResult<PyPart> {
    let columns = part.columns.len();
    let arrays = iter::once(part.rows).chain(part.columns).chain(part.documents);
    let members = arrays.map(|array| {
        let field = Field::new("", array.data_type().clone(), array.is_nullable());
        (Arc::new(field), array)
    });
    let (fields, arrays): (Vec<_>, Vec<_>) = members.unzip();
    let together = StructArray::try_new(fields.into(), arrays, None).map_err(failed)?;
    let together = together.to_data().to_pyarrow(py)?.call_method0(py, "flatten")?;
    let mut arrays = together.extract::<Vec<PyObject>>(py)?.into_iter();
    let rows = arrays.next().ok_or_else(|| NativeFailure::new_err(FAILED))?;
    Ok((part.kind, rows, arrays.by_ref().take(columns).collect(), arrays.next()))
}

#[pymodule]
fn streaming_etl_native(module: &Bound<PyModule>) -> PyResult<()> {
    // A payload may quote a record; where the panic was has none of it.
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("streaming_etl_native: panic at {place}");
    }));
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NativeFailure", module.py().get_type::<NativeFailure>())?;
    module.add_class::<FlatDecoder>()
}
