"""Coupling flows of 66 features on the CPU: RealNVP in PyTorch, or neural splines of nflows. usage: flows.py realnvp|nsf BATCH...

RealNVP: 8 couplings, conditioner 33 -> 256 -> 256 -> 66 with SiLU. NSF: 8 couplings, ResidualNet of width 256 with two
blocks, 8 bins, linear tails at 5. The training step is forward, regression loss, backward and AdamW."""
import sys

from serve import missing, serve

try:
    import torch
    if sys.argv[1] == "nsf":
        from nflows.nn.nets import ResidualNet
        from nflows.transforms import CompositeTransform
        from nflows.transforms.coupling import PiecewiseRationalQuadraticCouplingTransform
except ImportError as error:
    missing(error)

FEATURES, HALF, HIDDEN, COUPLINGS = 66, 33, 256, 8


class RealNvp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.nets = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.Linear(HALF, HIDDEN), torch.nn.SiLU(),
                torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.SiLU(),
                torch.nn.Linear(HIDDEN, 2 * HALF))
            for _ in range(COUPLINGS))

    def forward(self, x):
        a, b, logdet = x[:, :HALF], x[:, HALF:], x.new_zeros(len(x))
        for net in self.nets:
            out = net(a)
            s, t = torch.tanh(out[:, :HALF]), out[:, HALF:]
            a, b, logdet = b * torch.exp(s) + t, a, logdet + s.sum(1)
        return torch.cat([a, b], 1), logdet

    def inverse(self, y):
        a, b, logdet = y[:, :HALF], y[:, HALF:], y.new_zeros(len(y))
        for net in reversed(self.nets):
            out = net(b)
            s, t = torch.tanh(out[:, :HALF]), out[:, HALF:]
            a, b, logdet = b, (a - t) * torch.exp(-s), logdet - s.sum(1)
        return torch.cat([a, b], 1), logdet


def nsf():
    return CompositeTransform([
        PiecewiseRationalQuadraticCouplingTransform(
            torch.tensor([(i + k) % 2 for i in range(FEATURES)]),
            lambda i, o: ResidualNet(i, o, hidden_features=HIDDEN, num_blocks=2),
            num_bins=8, tails="linear", tail_bound=5.0)
        for k in range(COUPLINGS)])


def works(model, batch):
    x0, x1 = torch.randn(batch, FEATURES), torch.randn(batch, FEATURES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)

    def train():
        y, logdet = model(x0)
        loss = ((y - x1) ** 2).sum(1).mean() + 1e-6 * (logdet ** 2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def generate():
        model(x0)

    @torch.no_grad()
    def likelihood():
        model.inverse(x1)

    return {f"{work.__name__} {batch}": work for work in (generate, likelihood, train)}


torch.manual_seed(0)
left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)


def product():
    torch.mm(left, right)


model, offers = RealNvp() if sys.argv[1] == "realnvp" else nsf(), {"product": product}
for batch in sys.argv[2:]:
    offers |= works(model, int(batch))
name = "PyTorch" if sys.argv[1] == "realnvp" else "nflows, PyTorch"
serve(f"{name} {torch.__version__}, {torch.get_num_threads()} threads", offers)
