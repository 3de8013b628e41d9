//! Matrix products on one thread: a checked door to the `gemm` crate.

/// A matrix within a slice, row-major or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// `data` as `rows × columns`, row-major, rows `stride` apart.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= data.len()),
            "a matrix out of bounds"
        );
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// `data` as `rows × columns`, row-major, without gaps.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Some of the columns of a row-major matrix.
    pub(crate) fn slice_columns(self, columns: std::ops::Range<usize>) -> Self {
        assert!(columns.end <= self.columns && self.column_stride == 1, "columns out of bounds");
        let data = if self.rows == 0 { self.data } else { &self.data[columns.start..] };
        Self { data, columns: columns.len(), ..self }
    }

    pub(crate) fn transposed(self) -> Self {
        let Self { data, rows, columns, row_stride, column_stride } = self;
        Self {
            data,
            rows: columns,
            columns: rows,
            row_stride: column_stride,
            column_stride: row_stride,
        }
    }
}

/// `out ← factor · a·b`, or `out ← out + factor · a·b` where `accumulate`; `out` is row-major with
/// rows `stride` apart.
pub(crate) fn multiply(
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
    factor: f32,
    a: View<'_>,
    b: View<'_>,
) {
    assert_eq!(a.columns, b.rows, "matrices that do not fit");
    let (rows, columns) = (a.rows, b.columns());
    assert!(
        columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= out.len()),
        "a product out of bounds"
    );
    if rows == 0 || columns == 0 {
        return;
    }
    // SAFETY: `View` and the assertion above keep every element read or written inside its slice,
    // and `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
