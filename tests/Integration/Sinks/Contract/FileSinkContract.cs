using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.File;
using Microsoft.Extensions.Logging.Abstractions;

namespace CdcOrleans.Integration.Sinks.Contract;

public sealed class FileSinkContract : SinkContract
{
    private protected override Task<ContractRig> Start() => Task.FromResult<ContractRig>(new Rig());

    private sealed class Rig : ContractRig
    {
        private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cdc-contract-{Guid.NewGuid():N}");

        public override string Topic => "shop.public.t";

        public override string HasNoPoison => "A file refuses no event.";

        private string Away => _folder + ".away";

        public override ISink Open() => new FileSink(new FileSinkConfiguration { Name = "files", Directory = _folder }, TimeProvider.System, NullLogger.Instance);

        // A file is where the folder should be. The sink may create the folder between the two steps.
        public override async Task Break()
        {
            while (true)
            {
                if (Directory.Exists(_folder))
                    Directory.Move(_folder, Path.Combine(Directory.CreateDirectory(Away).FullName, $"{DateTime.UtcNow.Ticks:x16}"));
                try
                {
                    await System.IO.File.WriteAllTextAsync(_folder, "");
                    return;
                }
                catch (UnauthorizedAccessException) when (Directory.Exists(_folder))
                {
                }
                catch (IOException) when (Directory.Exists(_folder))
                {
                }
            }
        }

        public override Task Mend()
        {
            System.IO.File.Delete(_folder);
            return Task.CompletedTask;
        }

        public override IReadOnlyList<Got> Received(int least)
        {
            string[] folders = Directory.Exists(Away) ? [.. Directory.GetDirectories(Away).Order(StringComparer.Ordinal), _folder] : [_folder];
            return [.. folders.Select(f => Path.Combine(f, FileName.For(Topic))).Where(System.IO.File.Exists).SelectMany(System.IO.File.ReadAllLines).Select(Parsed)];
        }

        public override ValueTask DisposeAsync()
        {
            foreach (var folder in new[] { _folder, Away }.Where(Directory.Exists))
                Directory.Delete(folder, recursive: true);
            System.IO.File.Delete(_folder);
            return ValueTask.CompletedTask;
        }

        private static Got Parsed(string line)
        {
            using var parsed = JsonDocument.Parse(line);
            return Got.Of(Encoding.UTF8.GetBytes(parsed.RootElement.GetProperty("value").GetRawText()));
        }
    }
}
