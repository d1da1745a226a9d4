"""The loop is yours: stop when the estimate has been low for a while. Leaving the loop saves a checkpoint."""

import wgan

run = wgan.preset("wgan-gp", data="8gaussians", steps=2000, critic_optimizer="adam(lr=1e-3)")
low = 0
for _, metrics in wgan.steps(run, "results/my-loop"):
    low = low + 1 if metrics.wasserstein < 0.05 else 0
    if low == 20:
        print(f"stopped after {metrics.step} steps")
        break
points = wgan.load("results/my-loop").sample(1000)
print("mean", points.mean(0).tolist(), "deviation", points.std(0).tolist())
