import torch

torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x):
        return torch.softmax(self.layer(x), dim=-1)


torch.save(Net().state_dict(), "model.pt")
