//! A packed model, ready to predict.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

#[cfg(feature = "rayon")]
use rayon::iter::{IndexedParallelIterator, ParallelIterator};

use crate::engine::{Engine, EngineBlock, Memory, MemoryPart, Scratch, ShiftKind, check_scratch};
use crate::format::{StoredShift, with_bytes, with_reader};
use crate::kernel::choice::choose;
use crate::kernel::{Isa, Kernels};
use crate::{
    ATTENTION_THRESHOLDS, Block, Error, Image, PackedConfig, PackedFile, Prediction, Preprocessing,
    Trace,
};

/// A network of a packed file, ready to predict from any number of threads.
///
/// Images are independent of each other: what one gets depends neither on the others nor on the number
/// of threads. All instruction sets give the same bits.
///
/// ```
/// use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, PackedModel, Random};
///
/// let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
/// let model = PackedModel::new(PackedFile::unnamed(network))?;
/// let image = Random::new(2).image(model.config());
/// let prediction = model.predict(&image)?;
/// assert_eq!(prediction.logits().len(), 10);
/// # Ok::<(), gsb_packed::Error>(())
/// ```
#[derive(Debug)]
pub struct PackedModel {
    engine: Engine,
    isa: Isa,
    class_names: Vec<String>,
    preprocessing: Preprocessing,
    provenance: BTreeMap<String, String>,
    /// Memory of predictions that are over.
    pool: Mutex<Vec<Scratch>>,
}

impl PackedModel {
    /// Opens a file.
    ///
    /// It is mapped into memory meanwhile: nobody may change it in place or cut it short until this
    /// returns. To replace it, as [`PackedFile::write`] does, is no change of it.
    ///
    /// # Errors
    /// [`Error::File`] with what is wrong with it; [`Error::Isa`] if `GSB_FORCE_ISA` names no
    /// instruction set of this machine, [`Error::Product`] if `GSB_FORCE_PRODUCT` names no way to multiply that it has.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let isa = Isa::detect()?;
        with_bytes(path.as_ref(), |bytes| Self::of_bytes(bytes, isa))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them; [`Error::Isa`] and [`Error::Product`] as [`open`](Self::open).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_bytes(bytes, Isa::detect()?)
    }

    /// Makes a model of a network, for the instruction set that [`Isa::detect`] finds.
    ///
    /// # Errors
    /// As [`PackedFile::validate`]; [`Error::Isa`] and [`Error::Product`] as [`open`](Self::open).
    pub fn new(packed: PackedFile) -> Result<Self, Error> {
        Self::with_isa(packed, Isa::detect()?)
    }

    /// Makes a model of a network for an instruction set.
    ///
    /// # Errors
    /// As [`PackedFile::validate`]; [`Error::Isa`] if the machine does not have it; [`Error::Product`] as
    /// [`open`](Self::open); [`Error::Config`] if the memory for an image is out of proportion to the network.
    pub fn with_isa(packed: PackedFile, isa: Isa) -> Result<Self, Error> {
        packed.validate()?;
        check_scratch(&packed.network.config)?;
        let kernels = choose(isa)?;
        let mut packed = packed;
        let blocks = std::mem::take(&mut packed.network.blocks);
        let config = &packed.network.config;
        let mut memory = Memory::new(config, ShiftKind::Floats)?;
        let block = |(block, mut part): (Block, MemoryPart<'_>)| {
            let shift = &block.attention.attention_shift;
            let decode = |first: usize, out: &mut [f32]| {
                out.copy_from_slice(&shift[first..][..out.len()]);
            };
            part.fill_floats(kernels, decode);
            Engine::block(config, block, part, kernels)
        };
        #[cfg(feature = "rayon")]
        let blocks = rayon::iter::IntoParallelIterator::into_par_iter(blocks);
        #[cfg(not(feature = "rayon"))]
        let blocks = blocks.into_iter();
        let blocks = blocks.zip(memory.parts()).map(block).collect();
        Ok(Self::build(packed, blocks, memory, isa, kernels))
    }

    /// The model of a file's bytes.
    pub(crate) fn of_bytes(bytes: &[u8], isa: Isa) -> Result<Self, Error> {
        let kernels = choose(isa)?;
        with_reader(bytes, |reader| {
            let config = reader.config();
            check_scratch(config)?;
            reader.check_memory()?;
            let mut memory = Memory::new(config, reader.shift_kind())?;
            let parts = memory.parts();
            let (packed, blocks) =
                reader.read(parts, |block, shift, mut part: MemoryPart<'_>| {
                    let finite = match (part.kind(), shift) {
                        (ShiftKind::Levels, StoredShift::I8 { levels, steps }) => {
                            part.fill_levels(kernels, levels, steps)
                        }
                        _ => part.fill_floats(kernels, |first, out| shift.decode(first, out)),
                    };
                    finite.then(|| Engine::block(config, block, part, kernels))
                })?;
            Ok(Self::build(packed, blocks, memory, isa, kernels))
        })
    }

    /// The model of contents that have been checked, and of its blocks and their memory.
    fn build(
        packed: PackedFile,
        blocks: Vec<EngineBlock>,
        memory: Memory,
        isa: Isa,
        kernels: Kernels,
    ) -> Self {
        let PackedFile {
            network,
            class_names,
            preprocessing,
            provenance,
        } = packed;
        Self {
            engine: Engine::new(network, blocks, memory, &preprocessing, kernels),
            isa,
            class_names,
            preprocessing,
            provenance,
            pool: Mutex::default(),
        }
    }

    /// The sizes of the network.
    pub fn config(&self) -> &PackedConfig {
        self.engine.config()
    }

    /// A name for each class.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// What makes the network's input of a picture.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Where the network comes from.
    pub fn provenance(&self) -> &BTreeMap<String, String> {
        &self.provenance
    }

    /// The instruction set that it runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The thresholds that the groups of attention matrices are trained with: 0.5, 0.7 and 0.9.
    pub const TRAINED_THRESHOLDS: [f32; 3] = ATTENTION_THRESHOLDS;

    /// Decides the groups of attention matrices by other thresholds from now on, to see what depends on
    /// them; files hold none. An element of the shifted softmax belongs to the first group if it is above
    /// the first threshold times the group's scale, to the second and third if it is above theirs times the
    /// largest element of its scope. [`TRAINED_THRESHOLDS`](Self::TRAINED_THRESHOLDS) give the trained
    /// network back.
    ///
    /// ```
    /// # use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, PackedModel, Random};
    /// # let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
    /// # let mut model = PackedModel::new(PackedFile::unnamed(network))?;
    /// # let image = Random::new(2).image(model.config());
    /// let trained = model.predict(&image)?;
    /// model.set_attention_thresholds([0.5, 0.2, 0.3])?;
    /// assert_ne!(model.predict(&image)?.logits(), trained.logits());
    /// model.set_attention_thresholds(PackedModel::TRAINED_THRESHOLDS)?;
    /// assert_eq!(model.predict(&image)?.logits(), trained.logits());
    /// # Ok::<(), gsb_packed::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] if one is below 0.001, the first above 1000, or another above 1, and for other ones than the
    /// trained if the attention matrices have levels in place of groups, which their step decides.
    pub fn set_attention_thresholds(&mut self, thresholds: [f32; 3]) -> Result<(), Error> {
        let bits = self.config().attention_bits;
        if bits > 1 {
            if thresholds == Self::TRAINED_THRESHOLDS {
                return Ok(());
            }
            return Err(Error::Config {
                field: "the list of thresholds of attention groups",
                value: format!("{thresholds:?}"),
                expected: format!(
                    "those of the training: levels of {bits} bits take the place of groups"
                ),
            });
        }
        let names = ["first", "second", "third"].into_iter().zip([1000, 1, 1]);
        for ((name, most), threshold) in names.zip(thresholds) {
            if !(0.001..=most as f32).contains(&threshold) {
                return Err(Error::Config {
                    field: "a threshold of attention groups",
                    value: format!("{threshold} for the {name} group"),
                    expected: format!("a number from 0.001 to {most}"),
                });
            }
        }
        self.engine.set_attention_thresholds(thresholds);
        Ok(())
    }

    /// Memory for predictions of one thread, to be reused with [`logits_into`](Self::logits_into).
    pub fn scratch(&self) -> Scratch {
        self.engine.scratch(1)
    }

    /// Memory for predictions whose work a number of threads share, each image's by itself: fewer threads where
    /// an image has too few tokens. They are those of the rayon pool that
    /// [`logits_into`](Self::logits_into) is called in; without the feature `rayon`, the thread that calls
    /// it does everything.
    ///
    /// ```
    /// # use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, PackedModel, Random, Image};
    /// # let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
    /// # let model = PackedModel::new(PackedFile::unnamed(network))?;
    /// let image = Random::new(2).image(model.config());
    /// let mut logits = [[0.0; 10]; 2];
    /// model.logits_into(Image::Bytes(&image), &mut model.scratch(), &mut logits[0])?;
    /// model.logits_into(Image::Bytes(&image), &mut model.shared_scratch(2), &mut logits[1])?;
    /// assert_eq!(logits[0], logits[1]);
    /// # Ok::<(), gsb_packed::Error>(())
    /// ```
    pub fn shared_scratch(&self, threads: usize) -> Scratch {
        self.engine.scratch(threads)
    }

    /// Classifies an image: on the threads of rayon's global pool if the feature `rayon` is on, the network
    /// is large enough for it to pay, and the thread that calls belongs to no pool, whose other threads
    /// probably have images of their own.
    ///
    /// # Errors
    /// [`Error::Image`] if it does not have the model's size.
    pub fn predict<'a>(&self, image: impl Into<Image<'a>>) -> Result<Prediction, Error> {
        let mut logits = vec![0.0; self.config().classes];
        let threads = self.threads_of_predictions();
        self.with_scratch(threads, |scratch| {
            self.logits_into(image.into(), scratch, &mut logits)
        })?;
        Ok(Prediction::new(logits))
    }

    /// The logits of an image. It allocates nothing, unless values are exactly 0 where their sign is
    /// taken, which is rare after training: these are listed, and masked where they are of a query or a
    /// key, in memory that grows to what the image with the most of them needs. Called with a
    /// [shared](Self::shared_scratch) scratch by a thread that is not one of the rayon pool's, it hands the
    /// image over to these, in a queue of rayon's that takes memory for dozens of images at a time.
    ///
    /// # Shapes
    /// - logits: `[classes]`
    ///
    /// # Errors
    /// [`Error::Image`] if the image does not have the model's size, [`Error::Length`] if `logits`
    /// has another length than there are classes.
    ///
    /// # Panics
    /// If the scratch is that of a model of another configuration, or of the same configuration on
    /// another instruction set.
    pub fn logits_into(
        &self,
        image: Image<'_>,
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) -> Result<(), Error> {
        self.check(image)?;
        if logits.len() != self.config().classes {
            return Err(Error::Length {
                what: "the list of logits".into(),
                found: logits.len(),
                expected: self.config().classes,
            });
        }
        self.engine.logits(image, scratch, logits, None);
        Ok(())
    }

    /// The logits of several images, on the threads of the current rayon pool if the feature `rayon`
    /// is on: `[images, classes]`. Where there are threads enough for several an image, they share it.
    ///
    /// # Errors
    /// [`Error::Image`] of the first image that does not have the model's size; no image is
    /// classified then.
    pub fn logits_batch(&self, images: &[Image<'_>]) -> Result<Vec<f32>, Error> {
        images.iter().try_for_each(|&image| self.check(image))?;
        let classes = self.config().classes;
        let mut logits = vec![0.0; images.len() * classes];
        let threads = match self.is_worth_sharing() {
            true => current_threads() / images.len().max(1),
            false => 1,
        };
        let one = |logits: &mut [f32], image: Image<'_>| {
            self.with_scratch(threads, |scratch| {
                self.engine.logits(image, scratch, logits, None)
            });
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let pairs = logits.par_chunks_mut(classes).zip(images);
            pairs
                .with_max_len(1)
                .for_each(|(logits, &image)| one(logits, image));
        }
        #[cfg(not(feature = "rayon"))]
        for (logits, &image) in logits.chunks_mut(classes).zip(images) {
            one(logits, image);
        }
        Ok(logits)
    }

    /// Every decision on the way of an image.
    ///
    /// # Errors
    /// [`Error::Image`] if it does not have the model's size.
    pub fn trace(&self, image: Image<'_>) -> Result<Trace, Error> {
        self.check(image)?;
        let mut trace = Trace::default();
        let mut logits = vec![0.0; self.config().classes];
        self.with_scratch(1, |scratch| {
            self.engine
                .logits(image, scratch, &mut logits, Some(&mut trace))
        });
        Ok(trace)
    }

    /// The attention matrix of each block as it multiplies the value: `[heads, queries, keys]` each.
    ///
    /// # Errors
    /// [`Error::Image`] if the image does not have the model's size.
    pub fn attention_maps(&self, image: Image<'_>) -> Result<Vec<Vec<f32>>, Error> {
        let trace = self.trace(image)?;
        Ok(self.engine.attention_maps(&trace))
    }

    fn check(&self, image: Image<'_>) -> Result<(), Error> {
        let config = self.config();
        if image.len() == config.pixels() {
            return Ok(());
        }
        let (size, channels) = (config.image_size, config.channels);
        Err(Error::Image {
            found: image.len(),
            expected: config.pixels(),
            shape: match image {
                Image::Bytes(_) => format!("{size} x {size} pixels of {channels} bytes"),
                Image::Normalized(_) => format!("{channels} channels of {size} x {size}"),
            },
        })
    }

    /// Threads that share an image which is classified by itself.
    fn threads_of_predictions(&self) -> usize {
        #[cfg(feature = "rayon")]
        if rayon::current_thread_index().is_none() && self.is_worth_sharing() {
            return current_threads();
        }
        1
    }

    /// Whether an image takes long enough for waking other threads to pay.
    fn is_worth_sharing(&self) -> bool {
        let config = self.config();
        let of_token = config.width * (4 * config.width + 2 * config.mlp_width);
        let products = [config.tokens(), of_token, config.depth];
        let products = products
            .iter()
            .fold(1usize, |all, &count| all.saturating_mul(count));
        products >= WORTH_SHARING
    }

    /// Calls with memory of the pool for a number of threads, which gets it back.
    fn with_scratch<T>(&self, threads: usize, call: impl FnOnce(&mut Scratch) -> T) -> T {
        let pool = || {
            self.pool
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        };
        let lanes = self.engine.lanes(threads);
        let kept = {
            let mut pool = pool();
            let fits = pool.iter().rposition(|scratch| scratch.threads() == lanes);
            fits.map(|index| pool.swap_remove(index))
        };
        let mut scratch = kept.unwrap_or_else(|| self.engine.scratch(lanes));
        let result = call(&mut scratch);
        pool().push(scratch);
        result
    }
}

/// Products of bits of an image, from which on it is worth sharing: some hundred microseconds.
const WORTH_SHARING: usize = 1 << 27;

/// Threads of the current pool.
fn current_threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}
