using CdcOrleans.Grains.Interfaces.Changes;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Grains.Interfaces.Sinks;

/// <summary>Writes a row as people and APIs see it.</summary>
public interface IRowFormatter
{
    /// <summary>The row as a JSON object, with the values that events carry.</summary>
    string ToJson(TableSchema table, RowImage row, ValueOptions values);
}
