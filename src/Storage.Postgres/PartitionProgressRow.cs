using CdcOrleans.Model.Changes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>The durable progress of one partition.</summary>
internal readonly record struct PartitionProgressRow(int Partition, long Generation, ChangeVersion Progress, ChangeVersion High);
