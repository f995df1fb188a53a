//! Loading the published modules' state into ours, and comparing what comes back.

use burn::Tensor;
use burn::module::{Param, ParamId};
use burn::tensor::{Device, Gradients, Int};

use crate::check::{Check, measured_bound};
use crate::fixture::{Case, Values};
use crate::reference::GUARD;

/// The state of a published module, or of a part of it.
pub(crate) struct State<'a> {
    pub case: &'a Case,
    pub device: &'a Device,
    /// Names are relative to it: empty, or ending in a dot.
    path: String,
    /// Whether all scales wait for data.
    lazy: bool,
}

/// Scales and whether they have been set from data.
pub(crate) type Scales = (Param<Tensor<1>>, Param<Tensor<1, Int>>);

impl<'a> State<'a> {
    pub(crate) fn new(case: &'a Case, device: &'a Device) -> Self {
        Self {
            case,
            device,
            path: String::new(),
            lazy: case.text("alphas") == Some("lazy"),
        }
    }

    /// A part of it.
    pub(crate) fn part(&self, name: &str) -> Self {
        Self {
            path: format!("{}{name}.", self.path),
            ..*self
        }
    }

    /// Whether it has a parameter.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.case.has(&self.stored(name))
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    pub(crate) fn stored(&self, name: &str) -> String {
        format!("param.{}{name}", self.path)
    }

    pub(crate) fn param<const D: usize>(&self, name: &str) -> Result<Param<Tensor<D>>, String> {
        let tensor = self.case.tensor(&self.stored(name), self.device)?;
        Ok(Param::from_tensor(tensor))
    }

    pub(crate) fn bias(&self) -> Result<Option<Param<Tensor<1>>>, String> {
        let bias = self.has("bias").then(|| self.param("bias"));
        bias.transpose()
    }

    /// A linear layer's weight, stored `[out, in]`, as ours.
    pub(crate) fn linear_weight(&self) -> Result<Param<Tensor<2>>, String> {
        let weight: Tensor<2> = self.case.tensor(&self.stored("weight"), self.device)?;
        Ok(Param::from_tensor(weight.transpose()))
    }

    /// Scalars side by side. One waits for data if the published module would set it: its value is
    /// exactly 1, and the case is about uninitialised scales or stores what became of this one.
    pub(crate) fn scales(&self, names: &[&str]) -> Result<Scales, String> {
        let mut scales = Vec::new();
        let mut flags = Vec::new();
        for name in names {
            let scale = self.case.scalar(&self.stored(name))?;
            let changes = self.case.has(&format!("after.{}", self.name(name)));
            scales.push(scale);
            flags.push(i32::from(!((self.lazy || changes) && scale == 1.0)));
        }
        Ok((
            Param::from_tensor(Tensor::from_floats(scales.as_slice(), self.device)),
            self.calibrated(&flags),
        ))
    }

    pub(crate) fn calibrated(&self, flags: &[i32]) -> Param<Tensor<1, Int>> {
        let flags = Tensor::<1, Int>::from_ints(flags, self.device);
        Param::initialized(ParamId::new(), flags)
    }

    /// Whether the case stores what a first pass changed.
    pub(crate) fn is_first_pass(&self) -> bool {
        self.lazy || self.case.tensors.keys().any(|n| n.starts_with("after."))
    }
}

/// A parameter of one of our modules under its published name and layout.
pub(crate) struct Entry {
    name: String,
    value: Values,
    grad: Option<Values>,
}

/// A module's parameters, collected.
pub(crate) struct Entries<'a> {
    grads: &'a Gradients,
    entries: Vec<Entry>,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(grads: &'a Gradients) -> Self {
        Self {
            grads,
            entries: Vec::new(),
        }
    }

    pub(crate) fn param<const D: usize>(&mut self, name: String, param: &Param<Tensor<D>>) {
        self.push(name, param, |tensor| tensor);
    }

    pub(crate) fn linear_weight(&mut self, name: String, param: &Param<Tensor<2>>) {
        self.push(name, param, Tensor::transpose);
    }

    /// One entry for each scale.
    pub(crate) fn scales(&mut self, names: Vec<String>, param: &Param<Tensor<1>>) {
        let values = Values::from(param.val()).data;
        let grad = param
            .val()
            .grad(self.grads)
            .map(|grad| Values::from(grad).data);
        for (k, name) in names.into_iter().enumerate() {
            self.entries.push(Entry {
                name,
                value: Values::scalar(values[k]),
                grad: grad.as_ref().map(|grad| Values::scalar(grad[k])),
            });
        }
    }

    fn push<const D: usize>(
        &mut self,
        name: String,
        param: &Param<Tensor<D>>,
        layout: impl Fn(Tensor<D>) -> Tensor<D>,
    ) {
        let tensor = param.val();
        self.entries.push(Entry {
            name,
            value: layout(tensor.clone()).into(),
            grad: tensor
                .grad(self.grads)
                .map(|grad| Values::from(layout(grad))),
        });
    }

    /// Compares the gradients, and the values that the pass has changed.
    pub(crate) fn compare(self, check: &mut Check, case: &Case) {
        for entry in self.entries {
            let name = format!("grad.{}", entry.name);
            if case.has(&name)
                && let Some(got) = check.gradient(&name, entry.grad)
            {
                check.measured(&name, got);
            }
            let name = format!("after.{}", entry.name);
            if let Some(stored) = case.tensors.get(&name) {
                let mut expected = stored.clone();
                // An empty group's scale: NaN published, the guard ours.
                expected
                    .data
                    .iter_mut()
                    .filter(|scale| scale.is_nan())
                    .for_each(|scale| *scale = GUARD);
                let bound = measured_bound(case, &name, &expected);
                check.against(&name, &expected, entry.value, |_| bound);
            }
        }
    }
}
