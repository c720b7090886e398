// `backward`: from a loss to `grad` of every parameter that it depends on, through engine/tensor/autograd.ts.
import { propagate, type Tensor, TensorError } from "../engine/index.ts";
import { accumulateInto } from "./elementwise/accumulate.ts";
import { plus } from "./elementwise/arithmetic.ts";
import { castInto, floatsIn } from "./elementwise/cast.ts";

/**
 * Computes d loss / d parameter for every leaf with `requiresGrad` and adds it to `parameter.grad`: as in PyTorch,
 * gradients add up over calls until the caller clears them (`clearGrad`, or zeros in a tensor of its own). Where `grad`
 * is null or disposed, or inside of a captured step that of another one, it is set to a new tensor that no scope disposes;
 * where the caller put a tensor there, that one is added to.
 *
 * `grad` is the gradient of whatever is minimised with respect to `loss`, of its shape; 1 where `loss` has one element.
 * Throws TensorError where it is missing or does not fit, and where `loss` is of integers or depends on no parameter.
 */
export function backward(loss: Tensor, options: { grad?: Tensor } = {}): void {
  const { engine } = loss;
  const { grad } = options;
  if (!grad && loss.size !== 1) throw new TensorError(`backward: ${loss} needs options.grad.`);
  // One number is one in any shape: a scaler's scale is [], a loss may be [1].
  if (grad && `${grad}` !== `${loss}` && (grad.size * loss.size !== 1 || grad.dtype !== loss.dtype))
    throw new TensorError(`backward: gradient ${grad} does not fit ${loss}.`);
  engine.scope(() => {
    const seed = grad ?? engine.tensor([1], loss.shape, loss.dtype);
    // Rules may hand one tensor to several leaves; each leaf's grad must be memory of its own.
    const taken = new Set([seed.storage]);
    propagate(loss, seed, {
      add: (a, b) => (a.dtype === b.dtype ? plus(a, b) : plus(floatsIn(a, "f32"), floatsIn(b, "f32"))),
      leaf: (parameter, grad) => {
        const { grad: sum, gradIsOld } = parameter;
        parameter.gradIsOld = false;
        if (sum && engine.canAccumulate(sum)) {
          if (!gradIsOld) accumulateInto(sum, grad);
          else if (sum.dtype === grad.dtype) engine.copy(grad, sum);
          else castInto(grad, sum);
          return;
        }
        let own = grad;
        if (taken.has(grad.storage)) {
          own = engine.empty(parameter.shape, grad.dtype);
          engine.copy(grad, own);
        } else if (`${grad.shape}` !== `${parameter.shape}`) {
          own = engine.view(grad, parameter.shape);
        }
        taken.add(grad.storage);
        parameter.grad = engine.keep(own);
      },
    });
  });
}

/** Disposes the gradients of these tensors and sets them to null. */
export function clearGrad(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) {
    tensor.grad?.dispose();
    tensor.grad = null;
  }
}

/** `x`, of any dtype, as a tensor on the same memory that no gradient goes through: a constant to whatever is made of it. */
export function detach(x: Tensor): Tensor {
  return x.engine.view(x, x.shape);
}
