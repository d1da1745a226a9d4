"""The command `wgan`: parse, call, print. Everything it does is a function of the library.

torch is imported inside the commands, so that help and mistakes in flags are told at once.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

import wgan
from wgan.commands_bench import bench
from wgan.commands_distance import distance
from wgan.commands_doctor import doctor
from wgan.commands_evaluate import evaluate
from wgan.commands_reproduce import reproduce
from wgan.errors import Lost, Stopped, UserError
from wgan.flags import Whole

if TYPE_CHECKING:
    from wgan.run import Run

app = App(
    name="wgan",
    help="Wasserstein GANs: train one on your data, and sample from it.",
    version=wgan.__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=False),
)

RUN = Group("What decides the result (a preset sets them; see wgan presets)", sort_key=1)
WATCH = Group("How it is watched and kept", sort_key=2)


@Parameter(name="*", group=RUN)
@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """Fields of `wgan.Run`; None leaves what the preset or file says."""

    steps: Whole | None = None
    "generator updates"
    epochs: float | None = None
    "passes of the critic over the data, in place of --steps"
    batch_size: Whole | None = None
    "real samples in each critic update"
    generator_batch_size: Whole | None = None
    "fakes in each generator update, 0 for as many as --batch-size"
    lr: float | None = None
    "step size of both networks"
    critic_lr: float | None = None
    "step size of the critic alone"
    generator_lr: float | None = None
    "step size of the generator alone"
    lr_decay: Literal["none", "linear"] | None = None
    "linear goes to zero at the last step"
    seed: Whole | None = None
    "every random number follows from it"
    size: Whole | None = None
    "bring images to SIZE x SIZE pixels"
    conditional: Annotated[bool | None, Parameter(negative="--no-conditional")] = None
    "give the labels of the data to both networks"
    networks: str | None = None
    "such as 'dcgan(filters=32)', 'resnet', 'mlp', 'points(width=128)'"
    z_dim: Whole | None = None
    "numbers of noise for each sample"
    objective: str | None = None
    "a pairing and constraints, such as 'wasserstein + gp(weight=10)'"
    constrain: Literal["after", "before"] | None = None
    "clip after each critic update (Algorithm 1) or before (the authors' code)"
    n_critic: Whole | None = None
    "critic updates before each generator update"
    warmup_n_critic: Whole | None = None
    "critic updates while warming up, 0 for no warm-up (the authors' code: 100)"
    warmup_steps: Whole | None = None
    "generator updates that warm up (25)"
    warmup_every: Whole | None = None
    "and again at each multiple of this (500), 0 for never"
    critic_optimizer: str | None = None
    "such as 'adam(lr=1e-4, beta1=0, beta2=0.9)' or 'rmsprop(lr=5e-5)'"
    generator_optimizer: str | None = None
    "likewise"
    ema: float | None = None
    "decay of the generator's running average, 0 for none"
    dequantize: Annotated[bool | None, Parameter(negative="--no-dequantize")] = None
    "add U[0, 1/128) to images in [-1, 1]"
    precision: Literal["auto", "fp32", "bf16"] | None = None
    "of the networks' arithmetic; auto: bf16 where the machine is quicker in it, but for small perceptrons (auto)"
    allow_critic_batch_norm: bool | None = None
    "allow batch norm in a critic whose constraint looks at single samples"


@Parameter(name="*", group=WATCH)
@dataclass(frozen=True, kw_only=True)
class WatchFlags:
    """Fields of `wgan.Options`; None leaves its default."""

    device: str | None = None
    "auto (a GPU where there is one), cpu, cuda, cuda:1, mps"
    data_root: Path | None = None
    "folder of data sets, instead of WGAN_DATASETS or datasets/"
    allow_bad: bool | None = None
    "train even when more than 5 % of a folder's images can't be read"
    log_every: Whole | None = None
    "steps between lines of metrics.jsonl (10)"
    sample_every: Whole | None = None
    "steps between pictures (500), 0 for one at the end"
    save_every: Whole | None = None
    "steps between checkpoints (500), 0 for one at the end"
    keep: Whole | None = None
    "how many of the newest checkpoints stay (3)"
    keep_every: Whole | None = None
    "and those at each multiple of this stay for good"
    held_out: str | None = None
    "data to measure the critic on beside its own: a name, none, or auto for the test split (auto)"
    heldout_every: Whole | None = None
    "steps between such measurements (100), 0 for one at the end"
    evaluate_every: Whole | None = None
    "steps between measurements of a metric, of which the best checkpoint is kept; none unless given"
    evaluate_metric: str | None = None
    "as wgan evaluate names it: frechet for images, sliced for points, unless given"
    evaluate_n: Whole | None = None
    "samples that it is measured on (2000)"
    evaluate_features: str | None = None
    "classifier, pixels, inception, module:function: classifier for labelled images, else pixels, unless given"
    micro_batch: Whole | None = None
    "rows of a batch that go through the networks at once, when memory is short; 0 for all of them"
    quiet: bool | None = None
    "say only what went wrong"
    tensorboard: bool | None = None
    "write a log for TensorBoard as well"


def given(flags: RunFlags | WatchFlags) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in asdict(flags).items() if value is not None}


def resolve(data: str | None, preset: str | None, config: Path | None, flags: RunFlags) -> tuple[Run, str, str]:
    """(run, name for its folder, the user's own file) that a command line means."""
    from wgan.presets import preset as find_preset
    from wgan.run import from_fields, with_lr
    from wgan.userfile import run_of_config, run_of_file

    fields = given(flags)
    lr, critic_lr, generator_lr = (fields.pop(name, None) for name in ("lr", "critic_lr", "generator_lr"))
    source = ""
    if config is not None:
        if preset is not None:
            raise UserError("give either --config or --preset, not both")
        run, source = run_of_config(config)
        run = from_fields(fields | ({"data": data} if data else {}), run)
        name = config.resolve().parent.name
    elif data is None:
        raise UserError(
            "train on what? Give data (digits, cifar10, a folder of images, ...), a Python file or --config"
        )
    elif data.endswith(".py"):
        if preset is not None:
            raise UserError("a Python file defines the whole run: leave --preset out")
        source = str(Path(data).resolve())
        run, name = from_fields(fields, run_of_file(Path(data))), Path(data).stem
    else:
        preset = preset or "wgan-gp"
        run = find_preset(preset, data=data, **fields)
        name = f"{Path(data).expanduser().name.replace(':', '-')}-{preset}"
    critic, generator = critic_lr if critic_lr is not None else lr, generator_lr if generator_lr is not None else lr
    return with_lr(run, critic=critic, generator=generator), name, source


@app.command(sort_key=1)
def train(
    data: str | None = None,
    /,
    *,
    preset: Annotated[str | None, Parameter(group=RUN)] = None,
    config: Annotated[Path | None, Parameter(group=RUN)] = None,
    out: Annotated[Path | None, Parameter(group=WATCH)] = None,
    dry_run: Annotated[bool, Parameter(group=WATCH)] = False,
    run: RunFlags | None = None,
    watch: WatchFlags | None = None,
) -> None:
    """Train a Wasserstein GAN. The same command on the same folder goes on where it was.

    Parameters
    ----------
    data
        digits, cifar10, mnist, fashion-mnist, stacked-mnist, a folder of images, a .npy or .npz file, hf:owner/name,
        8gaussians, 25gaussians, swissroll, line:THETA, gaussian; or a Python file that defines run = wgan.Run(...)
    preset
        where the numbers start from: wgan-gp unless given; wgan presets lists them
    config
        the run.toml of an earlier run, to run it again, with the other flags changed
    out
        folder for the results: results/DATA-PRESET unless given
    dry_run
        print the run, its networks and its cost, and train nothing
    """
    from wgan.training import train as train_run
    from wgan.watch import Options

    run_, name, source = resolve(data, preset, config, run or RunFlags())
    options = Options(**given(watch or WatchFlags()), source=source)
    if dry_run:
        from wgan.dry import dry_run as describe

        print(wrapped(describe(run_, options), indent=24))
        return
    folder = out or Path("results") / name
    train_run(run_, folder, options)
    if not options.quiet and speaks():
        if (folder / "curve.png").exists():
            print(f"curve    {folder / 'curve.png'}")
        print(f"samples  {newest_picture(folder)}")
        if options.evaluate_every and (best := folder / "checkpoints" / "best.safetensors").exists():
            print(f"best     {best}")
        print(f"more     wgan sample {folder} --n 64")


def newest_picture(folder: Path) -> Path:
    """The last samples that a run drew."""
    from wgan.results import samples_by_step

    return next(reversed(samples_by_step(folder).values()), folder / "samples")


@app.command(sort_key=2)
def sample(
    run: Path,
    /,
    *,
    n: Whole = 64,
    out: Path | None = None,
    folder: Path | None = None,
    npy: Path | None = None,
    interpolate: bool = False,
    truncation: float | None = None,
    label: str | None = None,
    seed: Whole = 0,
    device: str = "auto",
) -> None:
    """Draw samples from a trained generator, as a grid PNG unless --folder or --npy is given.

    Parameters
    ----------
    run
        folder of a run (its newest checkpoint) or a checkpoint file
    n
        how many samples (64)
    out
        the PNG to write: RUN/sample-stepNNNNNN-seedS.png unless given
    folder
        write one PNG a sample into this new folder
    npy
        write an array: uint8 [n, c, h, w] for images, float32 [n, d] for points
    interpolate
        rows of eight in which z goes from one end to another, as many as hold N samples
    truncation
        draw z again where it is beyond this bound: less variety, fewer odd samples
    label
        a class by name or number, for conditional runs; all of them in turn unless given
    seed
        of the noise (0)
    device
        auto, cpu, cuda, cuda:1, mps
    """
    from wgan.pictures import columns_for
    from wgan.sample import check_targets, load, write_folder, write_npy, write_png

    sampler = load(run, device)
    check_targets(sampler.shape, folder, npy)
    if interpolate:
        columns: int | None = 8
        x = sampler.interpolate(-(-n // 8), seed=seed, label=label, truncation=truncation)
    else:
        columns = columns_for(len(sampler.classes)) if label is None else None
        x = sampler.sample(n, seed=seed, label=label, truncation=truncation)
    if out is None and folder is None and npy is None:
        kind = "interpolation" if interpolate else "sample"
        out = (run if run.is_dir() else run.parent.parent) / f"{kind}-step{sampler.step:06d}-seed{seed}.png"
    for path, write in ((folder, write_folder), (npy, write_npy)):
        if path is not None:
            write(x, path)
            print(path)
    if out is not None:
        write_png(x, out, columns)
        print(out)


app.command(evaluate, sort_key=3)
app.command(distance, sort_key=4)
app.command(doctor, sort_key=5)
app.command(reproduce, sort_key=6)
app.command(bench, sort_key=7)


@app.command(sort_key=8)
def data(
    name: str,
    /,
    *,
    size: Whole | None = None,
    split: str = "train",
    data_root: Path | None = None,
    allow_bad: bool = False,
    out: Path | None = None,
    quiet: bool = False,
) -> None:
    """Prepare a data set and describe it: count, shape, labels, channel statistics, bad files, a grid.

    Parameters
    ----------
    name
        as for wgan train
    size
        bring images to SIZE x SIZE pixels
    split
        train, test, or what the data set has
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    allow_bad
        go on even when more than 5 % of the images can't be read
    out
        the PNG with the first samples: results/data-NAME.png unless given
    quiet
        no progress bar
    """
    from wgan.data import load as load_data
    from wgan.data.describe import describe
    from wgan.pictures import save_real

    opened = load_data(name, size=size, root=data_root, split=split, allow_bad=allow_bad, quiet=quiet)
    picture = out or Path("results") / f"data-{Path(name).expanduser().name.replace(':', '-')}.png"
    save_real(opened, picture)
    print("\n".join(describe(opened).lines()))
    print(f"picture    {picture}")


@app.command(sort_key=9)
def presets() -> None:
    """List the presets: source, objective, networks, optimisers, numbers."""
    from wgan.presets import table

    print(wrapped(table(), indent=16))


def wrapped(lines: Sequence[str], indent: int) -> str:
    """The lines, those wider than the terminal broken and indented under their values."""
    width, under = shutil.get_terminal_size().columns, " " * indent
    return "\n".join(textwrap.fill(line, width, subsequent_indent=under, break_on_hyphens=False) for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what the user can mend is said in one line on stderr, with exit code 2."""
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        fail(" ".join(str(error).split()).rstrip(".") + "; see wgan --help")
    except UserError as error:
        fail(str(error), everyone=isinstance(error, Lost))
    except Stopped as stopped:
        if speaks():
            print(f"wgan: {stopped}", file=sys.stderr)
        leave(128 + stopped.signal)
        sys.exit(128 + stopped.signal)
    except KeyboardInterrupt:
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        # torch raises a RuntimeError on the CPU, and its own OutOfMemoryError on a GPU
        if not isinstance(error, MemoryError) and not any(text in str(error) for text in NO_MEMORY):
            raise
        fail("not enough memory: a lower --batch-size or --size, or networks with fewer filters, need less")
    except BrokenPipeError:
        # the reader of our output has gone
        sys.stderr.close()
        sys.exit(141)
    else:
        leave(0)


def leave(code: int) -> None:
    """End the process at once where it is one of several (`wgan.distributed.end`)."""
    if (distributed := sys.modules.get("wgan.distributed")) is not None:
        distributed.end(code)


def speaks() -> bool:
    """Whether this process is the one of a run's that talks to the user: the first, as torchrun numbers them."""
    return os.environ.get("RANK", "0") == "0"


NO_MEMORY = ("can't allocate memory", "out of memory")


def fail(message: str, everyone: bool = False) -> None:
    """Say it and exit. Of several processes of one run the first one speaks, unless `everyone` does."""
    if everyone or speaks():
        print(f"wgan: {' '.join(message.splitlines())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
