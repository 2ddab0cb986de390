//! The only file that names a backend of burn: CUDA with feature `cuda`, else flex, which is the CPU.
//!
//! Host values go in and come out here. On the CPU neither direction copies: the storage of a tensor is host memory.

use std::{num::NonZero, sync::Arc, thread};

use burn::tensor::{DType, TensorData};
use latentd_domain::DeviceKind;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::ComputeError;

#[cfg(not(feature = "cuda"))]
mod chosen {
    /// The backend of this build.
    pub type Backend = burn_flex::Flex;
    /// Its device.
    pub type BackendDevice = burn_flex::FlexDevice;
    pub(super) type HostStorage = burn_flex::FlexTensor;

    pub(super) fn open(_index: usize) -> BackendDevice {
        BackendDevice::default()
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the same shape as for devices that are not"
    )]
    pub(super) fn name(_device: &BackendDevice) -> String {
        "cpu".to_owned()
    }

    /// The storage as it lies in memory; only a view of a part, or a transposed one, is copied.
    pub(super) fn storage<const D: usize>(tensor: super::Tensor<D>) -> HostStorage {
        tensor.into_primitive().tensor().to_contiguous()
    }

    pub(super) fn values(storage: &HostStorage) -> &[f32] {
        storage.storage::<f32>()
    }
}

#[cfg(feature = "cuda")]
mod chosen {
    /// The backend of this build.
    pub type Backend = burn_cuda::Cuda;
    /// Its device.
    pub type BackendDevice = burn_cuda::CudaDevice;
    pub(super) type HostStorage = Vec<f32>;

    pub(super) fn open(index: usize) -> BackendDevice {
        BackendDevice::new(index)
    }

    pub(super) fn name(device: &BackendDevice) -> String {
        format!("cuda:{}", device.index)
    }

    pub(super) fn storage<const D: usize>(tensor: super::Tensor<D>) -> HostStorage {
        super::to_host(tensor)
    }

    pub(super) fn values(storage: &HostStorage) -> &[f32] {
        storage
    }
}

pub use chosen::{Backend, BackendDevice};

/// The same, recording how to differentiate what it computes.
pub type Differentiable = burn_autodiff::Autodiff<Backend>;

/// A backend that runs on this build's device: the build's own, or that with something around it.
pub trait DeviceBackend: burn::tensor::backend::Backend<Device = BackendDevice> {}

impl<B: burn::tensor::backend::Backend<Device = BackendDevice>> DeviceBackend for B {}

/// A tensor on the device.
pub type Tensor<const D: usize> = burn::tensor::Tensor<Backend, D>;

/// The one device of this process, and the threads that compute for it on the host. A clone is the same device.
#[derive(Clone, Debug)]
pub struct Device {
    inner: BackendDevice,
    pool: Arc<ThreadPool>,
}

impl Device {
    /// Device `index` (ignored on the CPU), with one thread for each core that the process may use.
    pub fn new(index: usize) -> Result<Self, ComputeError> {
        Self::with_threads(
            index,
            thread::available_parallelism().map_or(1, NonZero::get),
        )
    }

    /// Device `index` (ignored on the CPU), with `threads` threads. Results do not depend on their number.
    ///
    /// # Errors
    ///
    /// [`ComputeError::Failed`] if the threads cannot be started.
    pub fn with_threads(index: usize, threads: usize) -> Result<Self, ComputeError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("compute-{i}"))
            .build()
            .map_err(|error| ComputeError::Failed {
                detail: format!("cannot start threads: {error}"),
            })?;
        Ok(Self {
            inner: chosen::open(index),
            pool: Arc::new(pool),
        })
    }

    /// `cpu`, or `cuda:0`.
    pub fn name(&self) -> String {
        chosen::name(&self.inner)
    }

    /// Whether this is the CPU, where tensors are host memory and matrices are f32.
    pub const fn is_cpu(&self) -> bool {
        cfg!(not(feature = "cuda"))
    }

    /// What kind of device it is.
    pub const fn kind(&self) -> DeviceKind {
        if self.is_cpu() {
            DeviceKind::Cpu
        } else {
            DeviceKind::Gpu
        }
    }

    /// Threads that compute on the host, beside a GPU too.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` on this device's threads: what rayon does inside uses them and no others.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// A tensor from host values in row-major order. On the CPU it takes `values` over without a copy.
    ///
    /// # Panics
    ///
    /// If `values` does not have as many elements as `shape`: a defect of the caller, never of outside data.
    pub fn from_host<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        self.tensor(values, shape)
    }

    /// As [`Device::from_host`], on any backend of this device.
    pub(crate) fn tensor<B: DeviceBackend, const D: usize>(
        &self,
        values: Vec<f32>,
        shape: [usize; D],
    ) -> burn::tensor::Tensor<B, D> {
        burn::tensor::Tensor::from_data(TensorData::new(values, shape), (&self.inner, DType::F32))
    }

    /// The values of `tensor` in row-major order. On the CPU a tensor that nobody else holds gives its memory up without a
    /// copy; to read one without taking it, use [`host_view`].
    pub fn to_host<const D: usize>(&self, tensor: Tensor<D>) -> Vec<f32> {
        to_host(tensor)
    }
}

/// The values of a tensor on the host, in row-major order.
pub struct HostView {
    storage: Storage,
}

enum Storage {
    /// As the device has it.
    Device(chosen::HostStorage),
    Copied(Vec<f32>),
}

impl HostView {
    /// Of a tensor of any backend of this device, whose values are copied unless nobody else holds them.
    pub(crate) fn copied<B: DeviceBackend, const D: usize>(
        tensor: burn::tensor::Tensor<B, D>,
    ) -> Self {
        Self {
            storage: Storage::Copied(to_host(tensor)),
        }
    }

    /// All elements.
    pub fn values(&self) -> &[f32] {
        match &self.storage {
            Storage::Device(storage) => chosen::values(storage),
            Storage::Copied(values) => values,
        }
    }
}

/// Reads `tensor` on the host: in place on the CPU, copied from a GPU.
pub fn host_view<const D: usize>(tensor: &Tensor<D>) -> HostView {
    HostView {
        storage: Storage::Device(chosen::storage(tensor.clone())),
    }
}

#[expect(clippy::expect_used, reason = "what was converted to f32 holds f32")]
fn to_host<B: DeviceBackend, const D: usize>(tensor: burn::tensor::Tensor<B, D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .into_vec()
        .expect("f32 elements")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_values_come_back() {
        let device = Device::new(0).unwrap();
        let tensor = device.from_host(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
        assert_eq!(host_view(&tensor).values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(
            host_view(&tensor.clone().transpose()).values(),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
        assert_eq!(device.to_host(tensor.slice([1..2, 0..3])), [4.0, 5.0, 6.0]);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn the_cpu_copies_nothing() {
        let device = Device::new(0).unwrap();
        let values = vec![0.5; 1000];
        let address = values.as_ptr();
        let tensor = device.from_host(values, [10, 100]);
        assert_eq!(host_view(&tensor).values().as_ptr(), address);
        let back = device.to_host(tensor);
        assert_eq!(back.as_ptr(), address);
    }
}
